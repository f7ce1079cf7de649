package main

import (
	"fmt"
	"hash/crc32"
	"os"
	"strings"
)

// Log is the program under test: the log of file-log.py, one file of lines, CHECKSUM POSITION NAME VALUE.
type Log struct {
	file    *os.File
	records []string // POSITION NAME VALUE
	failure error    // After a failed write or sync nobody knows what is on the disk: the log does nothing more.
}

func line(record string) string {
	return fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(record)), record)
}

// Open reads the whole lines of the log in a folder, and cuts a torn one.
func Open(folder string) (*Log, error) {
	file, err := os.OpenFile(folder+"/log", os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	log := &Log{file: file}
	if err := log.recover(folder); err != nil {
		file.Close()
		return nil, err
	}
	return log, nil
}

func (log *Log) recover(folder string) error {
	data, err := os.ReadFile(folder + "/log")
	if err != nil {
		return err
	}
	rest := string(data)
	for len(rest) > 9 {
		record, _, _ := strings.Cut(rest[9:], "\n")
		// The position is part of what is checked: an old line that comes back is no record.
		if !strings.HasPrefix(rest, line(record)) || !strings.HasPrefix(record, fmt.Sprintf("%d ", len(log.records))) {
			break
		}
		log.records, rest = append(log.records, record), rest[len(line(record)):]
	}
	if rest != "" { // A torn line was never acknowledged.
		if err := log.file.Truncate(int64(len(data) - len(rest))); err != nil {
			return err
		}
	}
	// What was read must not be lost later, nor the cut come back.
	if err := log.file.Sync(); err != nil {
		return err
	}
	parent, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync() // The name of a new file is durable only when its folder is.
}

// Append returns the position of the record. It is durable then.
func (log *Log) Append(name, value string) (int, error) {
	record := fmt.Sprintf("%d %s %s", len(log.records), name, value)
	if log.failure == nil {
		_, log.failure = log.file.WriteString(line(record))
	}
	if log.failure == nil {
		log.failure = log.file.Sync()
	}
	if log.failure == nil {
		log.records = append(log.records, record)
	}
	return len(log.records) - 1, log.failure
}
