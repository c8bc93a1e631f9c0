use super::*;

#[test]
fn a_device_is_written_to_and_stays_one() {
    replace_text(Path::new("/dev/null"), "text").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn partial_files_of_killed_processes_are_swept_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let (stale, live) = (folder.path().join(".file.1-2.partial"), folder.path().join(".file.3-4.partial"));
    let others = [".file.partial", ".file.1-x.partial", ".other.1-2.partial", "file.1-2.partial"];
    for name in others {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    fs::write(&stale, "left").unwrap();
    let held = claim(&live, 0o666).unwrap();
    replace_text(&path, "new").unwrap();
    assert!(!stale.exists() && live.exists());
    drop(held);
    replace_text(&path, "newer").unwrap();
    assert!(!live.exists());
    assert!(others.iter().all(|name| folder.path().join(name).exists()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), others.len() + 1);
}

#[test]
fn the_longest_names_that_file_systems_take_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a".repeat(255), "ä".repeat(127)] {
        replace_text(&folder.path().join(&name), "text").unwrap();
        let partial = partial_path(Path::new(&name));
        assert!(is_partial(&partial.to_string_lossy(), &name) && partial.as_os_str().len() <= 255);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    replace_text(&path, "old").unwrap();
    let failed = replace(&path, |partial| {
        fs::write(partial, "ne")?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(failed.unwrap_err().to_string().ends_with("free some room and run the same command again"));
    assert_eq!(read_text(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let panicked = std::panic::catch_unwind(|| {
        let _ = replace(&path, |partial| {
            fs::write(partial, "ne")?;
            panic!("a test of panics")
        });
    });
    assert!(panicked.is_err());
    assert_eq!(read_text(&path).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_stays_one_and_a_file_keeps_its_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, link, chain) = (folder.path().join("inner"), folder.path().join("link"), folder.path().join("chain"));
    fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink("inner/file", &link).unwrap();
    std::os::unix::fs::symlink(&link, &chain).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // Nothing is there at first.
    replace_text(&link, "one").unwrap();
    assert_eq!(read_text(&inner.join("file")).unwrap(), "one");
    for wanted in [0o600, 0o644, 0o440] {
        fs::set_permissions(inner.join("file"), Permissions::from_mode(wanted)).unwrap();
        let during = |partial: &Path| {
            assert_eq!(mode(partial) & 0o077 & !wanted, 0);
            fs::write(partial, "two")
        };
        replace(&chain, during).unwrap();
        assert_eq!((read_text(&chain).unwrap().as_str(), mode(&chain)), ("two", wanted));
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && fs::symlink_metadata(&chain).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
}

#[test]
fn messages_say_a_thing_once() {
    let said = |kind: io::ErrorKind| FileError::at("read", Path::new("x"))(kind.into()).to_string();
    assert_eq!(said(io::ErrorKind::IsADirectory), "cannot read x: it is a folder, name a file");
    assert_eq!(
        said(io::ErrorKind::FileTooLarge),
        "cannot read x: it is too large for what it should be, name another file"
    );
    let limit = FileError::at("write", Path::new("x"))(io::ErrorKind::FileTooLarge.into()).to_string();
    assert!(limit.starts_with("cannot write x: the limit on the size of files") && limit.contains("ulimit -f"));
    assert_eq!(said(io::ErrorKind::InvalidData), "cannot read x: it is not text, name another file");
    assert_eq!(said(io::ErrorKind::NotFound), "cannot read x: entity not found; check the path");
}

#[test]
fn only_regular_files_within_a_limit_are_read_where_such_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "four").unwrap();
    assert_eq!(read_at_most(&path, 4).unwrap(), b"four");
    assert!(read_at_most(&path, 3).unwrap_err().to_string().contains("too large"));
    assert!(read_at_most(Path::new("/dev/zero"), 3).unwrap_err().to_string().ends_with("name a regular file"));
    assert!(read_at_most(folder.path(), 3).unwrap_err().to_string().contains("it is a folder"));
}

#[test]
fn a_folder_in_the_place_of_a_file_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let error = replace_text(folder.path(), "").unwrap_err().to_string();
    assert!(error.contains("it is a folder, name a file"), "{error}");
    assert!(check_regular(folder.path()).unwrap_err().to_string().contains("it is a folder"));
}
