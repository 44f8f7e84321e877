package caddyonetime

import "sync"

// engines are the open engines of this process, by their store.
//
// They are counted as in a caddy.UsagePool, with one thing beyond it: whoever
// has an engine can hold on to it without opening another, should it just be
// closing. A redemption under way needs that.
var engines = enginePool{open: make(map[string]*engine)}

type enginePool struct {
	mu   sync.Mutex
	open map[string]*engine
}

// hold returns the engine of a store, which open opens if it is not. Whoever
// holds an engine lets go of it once.
func (p *enginePool) hold(key string, open func(*engine) error) (*engine, error) {
	p.mu.Lock()
	e, ok := p.open[key]
	if ok {
		e.refs++
		p.mu.Unlock()
		<-e.ready
		if e.err != nil {
			return nil, e.err
		}
		return e, nil
	}
	e = &engine{key: key, refs: 1, ready: make(chan struct{}), closed: make(chan struct{})}
	p.open[key] = e
	p.mu.Unlock()

	if e.err = open(e); e.err != nil {
		p.mu.Lock()
		delete(p.open, key)
		p.mu.Unlock()
		close(e.ready)
		return nil, e.err
	}
	close(e.ready)
	return e, nil
}

// holdOn holds an engine once more. It reports false for one that is closing,
// which is not held and must not be let go of.
func (p *enginePool) holdOn(e *engine) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[e.key] != e {
		return false
	}
	e.refs++
	return true
}

// letGo closes the engine when nobody holds it any more, some time later: it may
// be called in the middle of what closing waits for.
func (p *enginePool) letGo(e *engine) {
	if p.drop(e) {
		go e.close()
	}
}

// drop lets go of an engine and reports whether it is to be closed by the caller.
func (p *enginePool) drop(e *engine) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.refs--
	if e.refs > 0 {
		return false
	}
	delete(p.open, e.key)
	return true
}
