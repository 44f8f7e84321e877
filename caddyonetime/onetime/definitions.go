package onetime

import "sync"

// definitions remembers parsed definitions by their text: the same few are
// needed at every page view and press.
type definitions struct {
	mu     sync.RWMutex
	parsed map[string]*Definition
}

// definitionsKept bounds the memory that definitions takes.
const definitionsKept = 512

func (d *definitions) of(a *Action) (*Definition, error) {
	d.mu.RLock()
	def := d.parsed[a.Definition]
	d.mu.RUnlock()
	if def != nil {
		return def, nil
	}
	def, err := Parse(a.Definition)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.parsed == nil || len(d.parsed) >= definitionsKept {
		d.parsed = make(map[string]*Definition)
	}
	d.parsed[a.Definition] = def
	return def, nil
}
