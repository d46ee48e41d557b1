//! No room: on the server's disk, or where the backup is to lie.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use pbac::postgres::{Cluster, ClusterOptions};
use pbac_tests::record::Recorded;
use pbac_tests::site::{CYCLE, Site};
use tempfile::TempDir;

/// A file system of its own, in memory; gone with this.
struct Disk {
    place: TempDir,
}

impl Disk {
    /// Nothing where this process may not mount; said on standard error.
    fn mount(bytes: u64) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0777"), "tmpfs"])
            .arg(place.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self { place }),
            other => {
                eprintln!("skipped: a small file system cannot be mounted here: {other:?}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn free(&self) -> u64 {
        let output = Command::new("df").args(["--output=avail", "-B1"]).arg(self.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
    }

    /// Fills it up but for so many bytes.
    fn leave(&self, bytes: u64) {
        let path = self.path().join("ballast");
        let _ = fs::remove_file(&path);
        let ballast = vec![0; usize::try_from(self.free().saturating_sub(bytes)).unwrap()];
        File::create(&path).unwrap().write_all(&ballast).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Everything of ours and of the application but the audit log: definitions as far as they can differ, and rows.
async fn state(site: &Site) -> Vec<String> {
    let mut found = site
        .texts(
            "SELECT concat_ws(' ', 'relation', n.nspname, c.relname, c.relkind, c.relnatts) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE (n.nspname = 'public' OR n.nspname LIKE 'pbac%') AND c.relname NOT LIKE 'audit_log%' \
             UNION ALL SELECT 'function ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace::regnamespace::text LIKE 'pbac%' \
             AND p.proname NOT LIKE 'audit_%' \
             UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'pbac\\_%' ORDER BY 1",
        )
        .await;
    let tables = site
        .texts(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE (n.nspname = 'public' OR n.nspname LIKE 'pbac%') AND c.relkind = 'r' AND c.relname <> 'audit_log' ORDER BY 1",
        )
        .await;
    for table in tables {
        found.extend(site.texts(&format!("SELECT '{table} ' || t::text FROM {table} t ORDER BY 1")).await);
    }
    found
}

/// With ever more room, until there is enough. Whatever is too little ends with a clear error and changes nothing.
async fn with_ever_more_room(disk: &Disk, site: &Site, arguments: &[&str]) -> usize {
    let mut failed = 0;
    let before = state(site).await;
    for kilobytes in [0, 16, 64, 128, 256, 384, 512, 768, 1024, 2048, 8192] {
        disk.leave(kilobytes << 10);
        let output = site.command(arguments).output().unwrap().recorded();
        let printed = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
        if output.status.success() {
            return failed;
        }
        assert_eq!(output.status.code(), Some(1), "{arguments:?} with {kilobytes} KiB: {printed}");
        assert!(
            printed.contains("No space left on device") && printed.contains("make room on the server's disk"),
            "{arguments:?} with {kilobytes} KiB: {printed}"
        );
        failed += 1;
        // Looking at it needs no room.
        assert_eq!(state(site).await, before, "{arguments:?} with {kilobytes} KiB: {printed}");
        if before.iter().any(|line| line.starts_with("relation pbac")) {
            site.pbac(&["audit", "verify"], 0);
        }
    }
    panic!("{arguments:?} fails with 8 MiB too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_server() {
    let Some(disk) = Disk::mount(48 << 20) else { return };
    let settings = vec![("autovacuum".to_owned(), "off".to_owned())];
    let options = ClusterOptions { settings, ..ClusterOptions::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options).unwrap()).await.unwrap();
    // A tablespace, so that the log of the server's own writes has room: without that the server itself would end.
    let tablespace = disk.path().join("tablespace");
    fs::create_dir(&tablespace).unwrap();
    let owner = fs::metadata(cluster.socket_dir()).unwrap();
    std::os::unix::fs::chown(&tablespace, Some(owner.uid()), Some(owner.gid())).unwrap();
    let root = Site::new(&cluster.url("postgres"));
    root.run(&format!("CREATE TABLESPACE tiny LOCATION '{}'", tablespace.display())).await;
    root.run("CREATE DATABASE erp TABLESPACE tiny").await;
    let site = Site::new(&cluster.url("erp"));
    site.fill(300).await;
    for arguments in CYCLE {
        let failed = with_ever_more_room(&disk, &site, arguments).await;
        // Looking is always possible; bringing back what is parked may find room in the pages that are there.
        let writes = !matches!(arguments, ["validate"] | ["restore"]);
        assert!(!writes || failed > 0, "{arguments:?} needs no room");
    }
}

#[tokio::test]
async fn a_full_disk_of_the_backup() {
    let Some(disk) = Disk::mount(1 << 20) else { return };
    let database = pbac_tests::database::TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(30).await;
    site.pbac(CYCLE[0], 0);
    let before = state(&site).await;
    let place = disk.path().to_str().unwrap();
    disk.leave(8 << 10);
    for how in [&["--drop"][..], &[]] {
        let arguments = [&["rollback", "--yes", "--backup-dir", place][..], how].concat();
        let printed = site.pbac(&arguments, 1);
        assert!(
            printed.contains("No space left on device") && printed.contains("the room on the disk"),
            "{printed}"
        );
        assert_eq!(state(&site).await, before);
        let left: Vec<String> = fs::read_dir(place)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["ballast"]);
    }
    site.pbac(CYCLE[1], 0);
    site.pbac(&["audit", "verify"], 0);
}
