//! How long an application's statements take while a migration, its way back and a restoration go on beside them: a
//! table in Markdown. Arguments: users (100,000), rounds (5). `benches/zero-downtime` runs it.

use std::time::Duration;

use pbac::postgres::{Cluster, ClusterOptions, Identifier};
use pbac_tests::site::Site;
use pbac_tests::traffic::{Load, Record, Statement, Traffic};

const NOTHING: &[&str] = &[];
const DROP: &[&str] = &["rollback", "--yes", "--drop", "--accept-data-loss"];
/// What goes on beside, in this order, in every round. After the first, one that does nothing is the control.
const PHASES: [(&str, &[&str]); 7] = [
    ("before", NOTHING),
    ("control: nothing", NOTHING),
    ("`migrate`", &["migrate"]),
    ("`rollback`", &["rollback", "--yes"]),
    ("`restore`", &["restore"]),
    ("`rollback --drop`", DROP),
    ("`restore --backup`", &["restore", "--yes", "--backup", "BACKUP"]),
];
const CONTROL: Duration = Duration::from_secs(3);
/// The upper ends of the histogram's bins, in milliseconds. The last but one is the lock time-out.
const BINS: [f64; 8] = [0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let users = arguments.next().unwrap_or(100_000);
    let rounds = arguments.next().unwrap_or(5);
    let load = Load { writers: 3, readers: 3, users, pause: Duration::from_millis(2) };
    // With fsync, as an application has it.
    let options = ClusterOptions { durable: true, ..ClusterOptions::default() };
    let cluster = Cluster::start(&options).unwrap_or_else(|error| panic!("{error}"));
    cluster.create_database(&Identifier::new("erp").expect("a name")).await.expect("a database");
    let site = Site::new(&cluster.url("erp"));
    site.fill(u32::try_from(users).expect("so many")).await;

    let traffic = Traffic::start(&cluster.url("erp"), load).await;
    let mut took = [Duration::ZERO; PHASES.len()];
    for _ in 0..rounds {
        for (at, (_, command)) in PHASES.iter().enumerate().skip(1) {
            traffic.during(at);
            let began = std::time::Instant::now();
            match command.is_empty() {
                true => tokio::time::sleep(CONTROL).await,
                false => drop(tokio::task::block_in_place(|| site.pbac(command, 0))),
            }
            took[at] += began.elapsed();
        }
        traffic.during(0);
        tokio::task::block_in_place(|| site.pbac(DROP, 0));
    }
    let record = traffic.stop().await;
    print(&record, &took.map(|total| total.as_secs_f64() * 1000.0 / rounds as f64));
}

fn print(record: &Record, took: &[f64]) {
    let bins: Vec<String> = BINS.iter().map(|bin| format!("≤ {bin}")).collect();
    println!(
        "| beside | ms each | statement | number | {} | > 100 | median | 99.9 % | longest |",
        bins.join(" | ")
    );
    println!("|---|--:|---|{}", "--:|".repeat(BINS.len() + 5));
    for (phase, (name, _)) in PHASES.iter().enumerate().skip(1) {
        for (statement, called) in
            [(Statement::Login, "log in"), (Statement::Update, "update"), (Statement::Insert, "insert")]
        {
            let mut times: Vec<f64> = record
                .samples
                .iter()
                .filter(|sample| sample.phase == phase && sample.statement == statement)
                .map(|sample| sample.took.as_secs_f64() * 1000.0)
                .collect();
            times.sort_by(f64::total_cmp);
            let up_to = |bin: f64| times.partition_point(|time| *time <= bin);
            let mut below = 0;
            let counts: Vec<String> = BINS
                .iter()
                .map(|bin| up_to(*bin) - std::mem::replace(&mut below, up_to(*bin)))
                .map(|count| count.to_string())
                .collect();
            let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
            println!(
                "| {name} | {:.0} | {called} | {} | {} | {} | {:.2} | {:.1} | {:.1} |",
                took[phase],
                times.len(),
                counts.join(" | "),
                times.len() - below,
                at(0.5),
                at(0.999),
                times.last().copied().unwrap_or(f64::NAN)
            );
        }
    }
    println!("\n{} statements failed.", record.failures.len());
    for failure in record.failures.iter().take(10) {
        println!("- {failure}");
    }
}
