// A driver in Go for the log in log.go: driver protocol, version 1 (docs/driver-protocol.md). Model: log.
// To test a log of your own, replace log.go, and the calls of it in `answer`.
package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
)

type request struct {
	ID                  json.Number
	Op, Dir, Log, Value string
}

type reply map[string]any

// These two are the failure of the driver. Any other error is the program's.
var errNotOpen, errUnknown = errors.New("the log is not open"), errors.New("no such operation")

var log *Log
var replies = json.NewEncoder(os.Stdout)

// answer carries out a request, and returns the members of the reply beside `id` and `ok`.
func answer(r request) (reply, error) {
	switch {
	case r.Op == "hello":
		return reply{"name": "filelog-go", "version": "1", "ops": []string{"append", "scan"}, "reopens": true}, nil
	case r.Op == "open":
		var err error
		log, err = Open(r.Dir)
		return nil, err
	case r.Op == "close":
		if log != nil {
			log.file.Close()
		}
		log = nil
		return nil, nil
	case log == nil:
		return nil, errNotOpen
	case r.Op == "append":
		position, err := log.Append(r.Log, r.Value)
		return reply{"position": position}, err
	case r.Op == "scan":
		items := [][]any{}
		for _, record := range log.records {
			if part := strings.SplitN(record, " ", 3); part[1] == r.Log {
				items = append(items, []any{json.Number(part[0]), part[2]})
			}
		}
		return nil, replies.Encode(reply{"id": r.ID, "items": items})
	}
	return nil, errUnknown
}

func main() {
	requests := json.NewDecoder(os.Stdin)
	for {
		var r request
		if requests.Decode(&r) != nil {
			return // Standard input has ended.
		}
		members, err := answer(r)
		if members == nil {
			members = reply{}
		}
		members["id"], members["ok"] = r.ID, err == nil
		if err != nil {
			members["error"] = err.Error()
		}
		if err == errNotOpen || err == errUnknown {
			members["outcome"] = "driver"
		}
		replies.Encode(members)
	}
}
