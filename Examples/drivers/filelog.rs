//! A driver in Rust for the log in filelog/log.rs: driver protocol, version 1 (docs/driver-protocol.md). Model: log.
//! Build: rustc -O filelog.rs. To test a log of your own, replace that module, and the calls of it in `answer`.
#[path = "filelog/log.rs"]
mod log;

use log::Log;
use std::{error::Error, io};

/// A member of a flat JSON object: a string without its escapes, or a number as it stands there. With a crate for
/// JSON this is not needed.
fn member(json: &str, name: &str) -> Result<String, String> {
    let name = format!("\"{name}\"");
    let behind = |(at, _)| json[at + name.len()..].trim_start().strip_prefix(':').map(str::trim_start);
    let text = json.match_indices(&name).find_map(behind).ok_or(format!("no member {name}"))?;
    let (ends, text) = text.strip_prefix('"').map_or((",} ", text), |text| ("\"", text));
    let (mut value, mut characters) = (String::new(), text.chars());
    while let Some(c) = characters.next().filter(|c| !ends.contains(*c)) {
        value.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    Ok(value)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Carries out a request. Returns the members of the reply beside `id`.
fn answer(request: &str, id: &str, log: &mut Option<Log>) -> Result<String, Box<dyn Error>> {
    let get = |name| member(request, name);
    let mut more = String::new();
    match get("op")?.as_str() {
        "hello" => more = r#","name":"filelog-rust","version":"1","ops":["append","scan"],"reopens":true"#.into(),
        "open" => *log = Some(Log::open(&get("dir")?)?),
        "append" => {
            let log = log.as_mut().ok_or("the log is not open")?;
            more = format!(r#","position":{}"#, log.append(&get("log")?, &get("value")?)?);
        }
        "scan" => {
            let name = get("log")?;
            for record in &log.as_ref().ok_or("the log is not open")?.records {
                let part: Vec<&str> = record.splitn(3, ' ').collect();
                if part[1] == name {
                    println!(r#"{{"id":{id},"items":[[{},{}]]}}"#, part[0], quoted(part[2]));
                }
            }
        }
        "close" => *log = None, // That closes the file.
        _ => return Err("no such operation".into()),
    }
    Ok(format!(r#""ok":true{more}"#))
}

fn main() {
    let mut log = None;
    for request in io::stdin().lines().map_while(Result::ok) {
        let id = member(&request, "id").unwrap_or_default();
        let members = answer(&request, &id, &mut log).unwrap_or_else(|error| {
            // The program's own failure; or the driver's, which says nothing about the program.
            let outcome = if error.is::<io::Error>() { "unknown" } else { "driver" };
            format!(r#""ok":false,"outcome":"{outcome}","error":{}"#, quoted(&error.to_string()))
        });
        println!(r#"{{"id":{id},{members}}}"#); // Rust flushes standard output at the end of each line.
    }
}
