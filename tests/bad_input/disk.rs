//! A disk without room.

use std::fs::{self, File};
use std::process::Command;

use lockstep::command::{Handler as _, Reporter, Request};
use lockstep::crawl;
use tempfile::TempDir;

use super::{ENGINE, GARDEN, assert_fails, done, finds};
use crate::support::app::{page, pages};
use crate::support::binary::{self, Up, assert_clean};

/// A small file system in memory; taken away when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount one.
    fn new() -> Option<Self> {
        let disk = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
        let mounted = mount.arg(disk.path()).output();
        let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        mounted.then_some(Self(disk))
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }

    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|unmounted| unmounted.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_loses_nothing() {
    let Some(disk) = SmallDisk::new() else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let data = disk.0.path().join("data");
    let folder = pages(&[("Engine", ENGINE)]);
    done(binary::crawl(&data, folder.path()));

    page(folder.path(), "Garden", GARDEN);
    disk.fill();
    let full = binary::crawl(&data, folder.path());
    assert_fails(&full, 1, &["the disk is full"]);
    disk.make_room();
    assert_clean(&data);
    assert!(finds(&data, "the engine weaves patterns", ENGINE));

    // Full while it runs. Whatever it says or whether it ends, what it had taken stays.
    let mut up = Up::start(&data);
    let client = up.client(&data).await;
    let crawl = |wait| Request::Crawl {
        what: crawl::Request {
            target: folder.path().to_str().unwrap().to_owned(),
            author: "Ada Lovelace".to_owned(),
            as_kind: None,
            reference: None,
        },
        wait,
    };
    for number in 0..200 {
        let title = format!("Garden {number}");
        page(folder.path(), &title, &format!("Bed {number}. {GARDEN}"));
    }
    disk.fill();
    let while_full = client.handle(crawl(false), Reporter::new().0).await;
    disk.make_room();
    let after = client.handle(crawl(true), Reporter::new().0).await;
    println!(
        "while full: {:?}",
        while_full.map_err(|error| error.chain())
    );
    println!("after: {:?}", after.map_err(|error| error.chain()));
    println!("{}", up.kill());
    done(binary::crawl(&data, folder.path()));
    assert_clean(&data);
    assert!(finds(&data, "the engine weaves patterns", ENGINE));
    assert!(finds(&data, "bed 199 tomatoes", "Bed 199."));
}
