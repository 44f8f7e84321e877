package hasstest

import "sync"

// watcher hands changes to a function, one after the other, without holding up
// the home.
type watcher struct {
	mu     sync.Mutex
	wake   sync.Cond
	queue  []Change
	closed bool
}

func (w *watcher) tell(c Change) {
	w.mu.Lock()
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	w.wake.Signal()
}

func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake.Signal()
}

func (w *watcher) run(fn func(Change)) {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.wake.Wait()
		}
		if w.closed {
			w.mu.Unlock()
			return
		}
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, c := range queue {
			fn(c)
		}
	}
}

// Watch calls fn with every change of an entity, in order, from a goroutine of
// its own, until the returned function is called or the home is closed.
func (h *Home) Watch(fn func(Change)) (stop func()) {
	w := &watcher{}
	w.wake.L = &w.mu
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return func() {}
	}
	h.watchers[w] = struct{}{}
	h.wg.Go(func() { w.run(fn) })
	return func() {
		h.mu.Lock()
		delete(h.watchers, w)
		h.mu.Unlock()
		w.close()
	}
}
