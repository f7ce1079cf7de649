//! The program under test: the log of file-log.py, one file of lines, CHECKSUM POSITION NAME VALUE.
use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Result, Write};

pub struct Log {
    file: File,
    pub records: Vec<String>, // POSITION NAME VALUE
    broken: bool,             // After a failed write or sync nobody knows what is on the disk.
}

/// A record as it stands in the file, with its CRC-32.
fn line(record: &str) -> String {
    let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    let crc = record.bytes().fold(!0, |crc, byte| (0..8).fold(crc ^ byte as u32, |crc, _| step(crc)));
    format!("{:08x} {record}\n", !crc)
}

impl Log {
    /// Reads the whole lines of the log in a folder, and cuts a torn one.
    pub fn open(folder: &str) -> Result<Log> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(format!("{folder}/log"))?;
        let mut data = Vec::new();
        file.read_to_end(&mut data)?;
        let mut records = Vec::new();
        let mut end = 0;
        for text in String::from_utf8_lossy(&data).split_inclusive('\n') {
            let record = text.get(9..).unwrap_or("").trim_end_matches('\n');
            // The position is part of what is checked: an old line that comes back is no record.
            if text != line(record) || !record.starts_with(&format!("{} ", records.len())) {
                break;
            }
            records.push(record.to_string());
            end += text.len() as u64;
        }
        if end < data.len() as u64 {
            file.set_len(end)?; // A torn line was never acknowledged.
        }
        file.sync_all()?; // What was read must not be lost later, nor the cut come back.
        File::open(folder)?.sync_all()?; // The name of a new file is durable only when its folder is.
        Ok(Log { file, records, broken: false })
    }

    /// Returns the position of the record. It is durable then.
    pub fn append(&mut self, name: &str, value: &str) -> Result<usize> {
        if self.broken {
            return Err(Error::other("an earlier write failed: open the log again"));
        }
        self.broken = true;
        let record = format!("{} {name} {value}", self.records.len());
        self.file.write_all(line(&record).as_bytes())?;
        self.file.sync_all()?;
        self.broken = false;
        self.records.push(record);
        Ok(self.records.len() - 1)
    }
}
