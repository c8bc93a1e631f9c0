fn main() {
    println!("{:?}", tch::Tensor::from_slice(&[1f32, 2.0]) * 2);
    println!("{}", tch::get_num_threads());
}
