package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// progress is what was dealt with; it outlives the process in a file.
type progress struct {
	Offsets     map[int32]int64   `json:"offsets"`   // partition → offset to read next
	Sequences   map[uint64]uint64 `json:"sequences"` // workflow uid → last sequence number
	Rests       map[string]string `json:"rests"`     // workflow → how it came to rest
	Events      uint64            `json:"events"`
	Completions uint64            `json:"completions"`
	Missing     uint64            `json:"missing"`
	Doubled     uint64            `json:"doubled"`
}

// load reads the file, or begins anew where there is none.
func load(path string) (*progress, error) {
	p := &progress{Offsets: map[int32]int64{}, Sequences: map[uint64]uint64{}, Rests: map[string]string{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	return p, json.Unmarshal(data, p)
}

// save exchanges the file as a whole: a crash leaves the old one or the new one.
func (p *progress) save(path string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// isNew counts an event by (uid, sequence). Where retention has cut the topic, a workflow may begin at any number.
func (p *progress) isNew(event *cloudEvent, cut bool) bool {
	uid, sequence := event.data.WorkflowUid, event.data.Sequence
	last, known := p.Sequences[uid]
	if !known && cut {
		last = sequence - 1
	}
	if sequence <= last {
		fmt.Fprintf(os.Stderr, "%s: %s came twice\n", event.source, event.id)
		p.Doubled++
		return false
	}
	if missing := sequence - last - 1; missing > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d missing before %s\n", event.source, missing, event.id)
		p.Missing += missing
	}
	p.Sequences[uid] = sequence
	p.Events++
	return true
}
