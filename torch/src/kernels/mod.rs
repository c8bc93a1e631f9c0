//! Runs the kernels of this folder: on the CPU as compiled with this package, on a GPU as compiled by NVRTC, which
//! comes with every CUDA build of libtorch. Also captures a step's launches as a CUDA graph.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::rc::Rc;

use tch::{Device, Tensor};

const SOURCE: &str =
    concat!(include_str!("common.h"), include_str!("encoder.h"), include_str!("decoder.h"), include_str!("update.h"));
/// Threads of a block.
const BLOCK: u32 = 256;
const RTLD_NOW: c_int = 2;
/// Uploads under way at most.
const TURNS: usize = 3;
/// Events without times.
const NO_TIMING: usize = 2;
/// Work of other threads goes on while a graph is captured.
const THREAD_LOCAL: c_int = 1;

/// What a kernel is given: tensors by address, then numbers.
#[repr(C)]
struct Args {
    tensors: [*mut c_void; 10],
    numbers: [i32; 12],
}

type OnCpu = unsafe extern "C" fn(*const Args, c_uint);

unsafe extern "C" {
    fn cvae_kernel(name: *const c_char) -> Option<OnCpu>;
    fn cvae_own_stream(device: c_int) -> *mut c_void;
    fn cvae_allow_tf32(allow: c_int);
    fn cvae_peak_memory(device: c_int) -> i64;
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Whether products of 32-bit floats on a GPU may round their factors to 10 bits: several times as fast.
pub fn allow_tf32(allow: bool) {
    // SAFETY: sets a flag of libtorch.
    unsafe { cvae_allow_tf32(c_int::from(allow)) }
}

/// The most memory that libtorch has held on a GPU so far, bytes.
pub fn peak_memory(device: Device) -> Option<u64> {
    let Device::Cuda(index) = device else { return None };
    // SAFETY: reads counters; an error is -1.
    u64::try_from(unsafe { cvae_peak_memory(index as c_int) }).ok()
}

/// The kernels on one device.
#[derive(Debug)]
pub struct Kernels {
    gpu: Option<Gpu>,
    graphs: Cell<bool>,
    /// While times are taken: milliseconds by name.
    times: RefCell<Option<Times>>,
}

/// Milliseconds and calls by kernel; products of matrices are one.
pub type Times = BTreeMap<String, (f64, u32)>;

thread_local! {
    /// The kernels of each device, made once: all work of a thread on a GPU goes to one stream.
    static MADE: RefCell<Vec<(Device, Rc<Kernels>)>> = const { RefCell::new(Vec::new()) };
}

impl Kernels {
    /// This thread's kernels on a device.
    ///
    /// # Errors
    /// As for [`Kernels::new`].
    pub fn on(device: Device) -> Result<Rc<Self>, String> {
        MADE.with_borrow_mut(|made| {
            if let Some((_, kernels)) = made.iter().find(|(other, _)| *other == device) {
                return Ok(Rc::clone(kernels));
            }
            let kernels = Rc::new(Self::new(device)?);
            made.push((device, Rc::clone(&kernels)));
            Ok(kernels)
        })
    }

    /// Compiles the kernels for a GPU; on the CPU they are there. On a GPU all work of this thread goes to a stream of
    /// its own from now on.
    ///
    /// # Errors
    /// When a library or the compiler is missing; the text says which.
    fn new(device: Device) -> Result<Self, String> {
        let gpu = match device {
            Device::Cuda(index) => Some(Gpu::new(index)?),
            _ => None,
        };
        Ok(Self { gpu, graphs: Cell::new(true), times: RefCell::default() })
    }

    /// Bytes of the GPU's memory that nobody has; none on the CPU.
    pub fn free_memory(&self) -> Option<u64> {
        let (mut free, mut total) = (0usize, 0usize);
        let gpu = self.gpu.as_ref()?;
        gpu.call(c"cuMemGetInfo_v2", &[&raw mut free as usize, &raw mut total as usize]).ok()?;
        Some(free as u64)
    }

    /// The kernels on the CPU.
    pub fn cpu() -> Self {
        Self { gpu: None, graphs: Cell::new(false), times: RefCell::default() }
    }

    /// Runs a kernel for `count` indices. All tensors must be contiguous, of 32-bit floats or integers, and on the device.
    pub fn run(&self, name: &'static CStr, count: i64, tensors: &[&Tensor], numbers: &[i64]) {
        let mut args = Args { tensors: [null_mut(); 10], numbers: [0; 12] };
        args.tensors.iter_mut().zip(tensors).for_each(|(slot, tensor)| *slot = tensor.data_ptr());
        args.numbers.iter_mut().zip(numbers).for_each(|(slot, number)| *slot = *number as i32);
        assert!(count <= i64::from(i32::MAX), "{name:?}: the batch is too large, train fewer trials at once");
        if count == 0 {
            return;
        }
        self.timed(name, || match &self.gpu {
            Some(gpu) => gpu.launch(name, count as u32, &args),
            // SAFETY: the kernels read and write inside tensors of the sizes that the numbers state.
            None => unsafe {
                let run = cvae_kernel(name.as_ptr()).expect("every kernel that is named here is in this folder");
                run(&args, count as u32);
            },
        });
    }

    /// Fills a contiguous tensor of 32-bit integers or floats, without waiting for the device.
    pub fn upload(&self, to: &Tensor, fill: impl FnOnce(&mut [u32])) {
        match &self.gpu {
            Some(gpu) => gpu.upload(to, fill),
            // SAFETY: the tensor is contiguous, of 4 bytes an entry and used by no one else meanwhile.
            None => fill(unsafe { std::slice::from_raw_parts_mut(to.data_ptr().cast(), to.numel()) }),
        }
    }

    /// Whether steps are captured as graphs.
    pub fn graphs(&self) -> bool {
        self.gpu.is_some() && self.graphs.get()
    }

    /// Has steps captured as graphs, or not.
    pub fn set_graphs(&self, graphs: bool) {
        self.graphs.set(graphs);
    }

    /// Times of all work meanwhile, each waited for: a profile, for steps that are no graph.
    pub fn profile(&self, work: impl FnOnce()) -> Times {
        *self.times.borrow_mut() = Some(Times::new());
        work();
        self.times.take().unwrap_or_default()
    }

    /// Does some work and takes its time, where times are taken.
    pub fn timed(&self, name: &CStr, work: impl FnOnce()) {
        let Some(times) = &mut *self.times.borrow_mut() else { return work() };
        let wait = || {
            if let Some(gpu) = &self.gpu {
                gpu.check(c"cuStreamSynchronize", &[gpu.stream as usize]);
            }
        };
        wait();
        let started = std::time::Instant::now();
        work();
        wait();
        let entry = times.entry(name.to_string_lossy().into_owned()).or_default();
        entry.0 += 1e3 * started.elapsed().as_secs_f64();
        entry.1 += 1;
    }

    /// Captures what `work` launches, to be launched again as one; none on the CPU or where that fails.
    pub fn capture(&self, work: impl FnOnce()) -> Option<Graph> {
        self.gpu.as_ref()?.capture(work)
    }

    /// Launches a captured graph again.
    pub fn replay(&self, graph: &Graph) {
        if let Some(gpu) = &self.gpu {
            gpu.check(c"cuGraphLaunch", &[graph.0 as usize, gpu.stream as usize]);
        }
    }
}

/// A captured step. It lives as long as the process: there are few.
#[derive(Debug)]
pub struct Graph(*mut c_void);

/// The driver and the compiler of CUDA, found at run time, since a CPU build of libtorch has neither.
#[derive(Debug)]
struct Gpu {
    library: *mut c_void,
    stream: *mut c_void,
    module: *mut c_void,
    functions: RefCell<HashMap<&'static CStr, usize>>,
    /// Memory that the GPU can read by itself, by turns.
    pinned: RefCell<VecDeque<Pinned>>,
}

/// Pinned memory, free again after an event.
#[derive(Debug)]
struct Pinned {
    address: *mut u32,
    len: usize,
    event: *mut c_void,
}

impl Gpu {
    fn new(index: usize) -> Result<Self, String> {
        // It needs the driver and NVRTC, so both are found through it.
        // SAFETY: libtorch's own library.
        let library = unsafe { dlopen(c"libcaffe2_nvrtc.so".as_ptr(), RTLD_NOW) };
        if library.is_null() {
            return Err(
                "libcaffe2_nvrtc.so of a CUDA build of libtorch is not found; set LD_LIBRARY_PATH to its lib".into()
            );
        }
        tch::Cuda::synchronize(index as i64);
        // SAFETY: the device is there, or null is returned.
        let stream = unsafe { cvae_own_stream(index as c_int) };
        if stream.is_null() {
            return Err(format!("libtorch has no stream on GPU {index}"));
        }
        let gpu =
            Self { library, stream, module: null_mut(), functions: RefCell::default(), pinned: RefCell::default() };
        let image = gpu.compile()?;
        let mut module = null_mut();
        gpu.call(c"cuModuleLoadData", &[&raw mut module as usize, image.as_ptr() as usize])?;
        Ok(Self { module, ..gpu })
    }

    /// Machine code of the kernels for the current device.
    fn compile(&self) -> Result<Vec<u8>, String> {
        let (mut device, mut major, mut minor) = (0i32, 0i32, 0i32);
        self.call(c"cuCtxGetDevice", &[&raw mut device as usize])?;
        for (value, attribute) in [(&raw mut major, 75), (&raw mut minor, 76)] {
            self.call(c"cuDeviceGetAttribute", &[value as usize, attribute, device as usize])?;
        }
        let source = CString::new(SOURCE).map_err(|error| error.to_string())?;
        let mut program: *mut c_void = null_mut();
        let name = c"kernels".as_ptr() as usize;
        self.call(c"nvrtcCreateProgram", &[&raw mut program as usize, source.as_ptr() as usize, name, 0, 0, 0])?;
        let architecture = CString::new(format!("--gpu-architecture=sm_{major}{minor}")).unwrap_or_default();
        let options = [architecture.as_ptr(), c"--std=c++17".as_ptr()];
        let compiled = self.call(c"nvrtcCompileProgram", &[program as usize, options.len(), options.as_ptr() as usize]);
        if compiled.is_err() {
            let log = self.read(c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog", program)?;
            return Err(format!("NVRTC: {}", String::from_utf8_lossy(&log)));
        }
        self.read(c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN", program)
    }

    fn read(&self, size: &CStr, get: &CStr, program: *mut c_void) -> Result<Vec<u8>, String> {
        let mut len = 0usize;
        self.call(size, &[program as usize, &raw mut len as usize])?;
        let mut bytes = vec![0u8; len];
        self.call(get, &[program as usize, bytes.as_mut_ptr() as usize])?;
        Ok(bytes)
    }

    /// Calls a function of the driver or of NVRTC, whose arguments are addresses, handles or integers.
    fn call(&self, name: &CStr, args: &[usize]) -> Result<(), String> {
        // SAFETY: on the ABIs of Linux, integers and pointers go in the same registers, and more arguments than a
        // function takes are ignored; callers pass what the function's documentation asks for.
        let status = unsafe {
            let function = dlsym(self.library, name.as_ptr());
            if function.is_null() {
                return Err(format!("{name:?} is missing in the CUDA driver or in NVRTC"));
            }
            let function: unsafe extern "C" fn(usize, usize, usize, usize, usize, usize) -> c_int =
                std::mem::transmute(function);
            let arg = |place: usize| args.get(place).copied().unwrap_or(0);
            function(arg(0), arg(1), arg(2), arg(3), arg(4), arg(5))
        };
        if status == 0 { Ok(()) } else { Err(format!("{name:?} failed with status {status}")) }
    }

    /// The same where a failure means that the device is lost.
    fn check(&self, name: &CStr, args: &[usize]) {
        if let Err(error) = self.call(name, args) {
            panic!("GPU: {error}");
        }
    }

    fn launch(&self, name: &'static CStr, count: u32, args: &Args) {
        let function = *self.functions.borrow_mut().entry(name).or_insert_with(|| {
            let mut function: *mut c_void = null_mut();
            self.check(
                c"cuModuleGetFunction",
                &[&raw mut function as usize, self.module as usize, name.as_ptr() as usize],
            );
            function as usize
        });
        type Launch = unsafe extern "C" fn(
            *mut c_void,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            c_uint,
            *mut c_void,
            *const *const c_void,
            *const *const c_void,
        ) -> c_int;
        let params = [std::ptr::from_ref(args).cast::<c_void>(), (&raw const count).cast()];
        // SAFETY: the kernel takes these two parameters and stays inside the tensors that they name.
        let status = unsafe {
            let launch: Launch = std::mem::transmute(dlsym(self.library, c"cuLaunchKernel".as_ptr()));
            launch(
                function as *mut c_void,
                count.div_ceil(BLOCK),
                1,
                1,
                BLOCK,
                1,
                1,
                0,
                self.stream,
                params.as_ptr(),
                null(),
            )
        };
        assert!(status == 0, "GPU: launch of {name:?} failed with status {status}");
    }

    fn upload(&self, to: &Tensor, fill: impl FnOnce(&mut [u32])) {
        let len = to.numel();
        let mut turns = self.pinned.borrow_mut();
        let next = if turns.len() < TURNS { None } else { turns.pop_front() };
        let mut pinned = next.unwrap_or_else(|| {
            let mut event = null_mut();
            self.check(c"cuEventCreate", &[&raw mut event as usize, NO_TIMING]);
            Pinned { address: null_mut(), len: 0, event }
        });
        self.check(c"cuEventSynchronize", &[pinned.event as usize]);
        if pinned.len < len {
            if !pinned.address.is_null() {
                self.check(c"cuMemFreeHost", &[pinned.address as usize]);
            }
            self.check(c"cuMemAllocHost_v2", &[&raw mut pinned.address as usize, 4 * len]);
            pinned.len = len;
        }
        // SAFETY: the driver gave so much memory, and the event says that nothing reads it any more.
        fill(unsafe { std::slice::from_raw_parts_mut(pinned.address, len) });
        let copy = [to.data_ptr() as usize, pinned.address as usize, 4 * len, self.stream as usize];
        self.check(c"cuMemcpyHtoDAsync_v2", &copy);
        self.check(c"cuEventRecord", &[pinned.event as usize, self.stream as usize]);
        turns.push_back(pinned);
    }

    fn capture(&self, work: impl FnOnce()) -> Option<Graph> {
        self.call(c"cuStreamBeginCapture_v2", &[self.stream as usize, THREAD_LOCAL as usize]).ok()?;
        work();
        let (mut graph, mut launchable): (*mut c_void, *mut c_void) = (null_mut(), null_mut());
        self.call(c"cuStreamEndCapture", &[self.stream as usize, &raw mut graph as usize]).ok()?;
        self.call(c"cuGraphInstantiateWithFlags", &[&raw mut launchable as usize, graph as usize, 0]).ok()?;
        Some(Graph(launchable))
    }
}
