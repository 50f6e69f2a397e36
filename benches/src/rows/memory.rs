//! What the server holds in memory after all that it was asked.

use std::fs;

use dealog_tests::Server;

use crate::{
    Result,
    bench::Bench,
    machine::megabytes,
    table::{Line, Target},
};

const MEGABYTES_MAX: u32 = 150;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    bench.progress.set_message("memory");
    line(
        format!("memory of the server of {}, after the requests above", bench.maven.name),
        bench.server(),
        MEGABYTES_MAX,
    )
    .map(|line| vec![line])
}

pub(crate) fn line(what: String, server: &Server, megabytes_max: u32) -> Result<Line> {
    // Only Linux tells it in a file.
    let Ok(status) = fs::read_to_string(format!("/proc/{}/status", server.id())) else {
        return Ok(Line::alone(what, "cannot be told on this system".to_owned(), None));
    };
    let (resident, peak) = (megabytes(&status, "VmRSS:")?, megabytes(&status, "VmHWM:")?);
    let target = Target::below(resident, megabytes_max, "MB");
    Ok(Line::alone(what, format!("{resident:.0} MB (peak {peak:.0})"), Some(target)))
}
