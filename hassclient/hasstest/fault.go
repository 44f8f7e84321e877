package hasstest

import (
	"net"
	"time"
)

// A Fault is a way in which a home misbehaves, from [Home.Fault] until
// [Home.Heal].
type Fault func(*faults)

type faults struct {
	refuse, hang, garbage, huge, rejectTokens    bool
	closeBeforeCall, closeAfterCall, closeMidway bool
	slow                                         time.Duration
	failing                                      map[string]*failure
	hanging                                      map[string]bool
}

var (
	// Refuse breaks every connection that stands, and every new one as soon as
	// it comes.
	Refuse Fault = func(f *faults) { f.refuse = true }
	// Hang takes connections and requests and answers nothing, not even pings.
	Hang Fault = func(f *faults) { f.hang = true }
	// CloseBeforeCall breaks the connection on which a call comes; the call is
	// recorded, not carried out.
	CloseBeforeCall Fault = func(f *faults) { f.closeBeforeCall = true }
	// CloseAfterCall carries a call out and breaks the connection instead of
	// answering.
	CloseAfterCall Fault = func(f *faults) { f.closeAfterCall = true }
	// CloseMidAnswer carries a call out, sends half of the answer and breaks
	// the connection.
	CloseMidAnswer Fault = func(f *faults) { f.closeMidway = true }
	// Garbage answers everything by what is not JSON.
	Garbage Fault = func(f *faults) { f.garbage = true }
	// Huge answers everything by 10 MB.
	Huge Fault = func(f *faults) { f.huge = true }
	// RejectTokens makes every access token invalid, and breaks connections
	// that stand.
	RejectTokens Fault = func(f *faults) { f.rejectTokens = true }
)

// Slow lets d pass before each answer.
func Slow(d time.Duration) Fault { return func(f *faults) { f.slow = d } }

// FailService makes a service such as "notify.send_message" fail while it
// acts, with an error of Home Assistant's such as "home_assistant_error".
func FailService(service, code, message string) Fault {
	return func(f *faults) { f.failing[service] = &failure{code: code, message: message} }
}

// HangService makes a service begin to act and not end before [Home.Heal]: the
// connection stands, the answer does not come.
func HangService(service string) Fault {
	return func(f *faults) { f.hanging[service] = true }
}

// Fault adds faults to those that the home has.
func (h *Home) Fault(list ...Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// Replaced, not changed: others may read the maps without the lock.
	next := h.faults
	next.failing, next.hanging = map[string]*failure{}, map[string]bool{}
	for k, v := range h.faults.failing {
		next.failing[k] = v
	}
	for k, v := range h.faults.hanging {
		next.hanging[k] = v
	}
	for _, f := range list {
		f(&next)
	}
	h.faults = next
	if next.refuse || next.rejectTokens {
		h.dropConnections()
	}
}

// Heal ends every fault. What hung goes on.
func (h *Home) Heal() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = faults{}
	close(h.healed)
	h.healed = make(chan struct{})
}

func (h *Home) fault() (faults, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.faults
	f.refuse = f.refuse || h.stopped
	return f, h.healed
}

// hugeSize is how long an answer is under [Huge].
const hugeSize = 10 << 20

func garbage() []byte { return []byte("\x00\xff{\"id\":1,]<html>nonsense") }

func hugeAnswer() []byte {
	b := make([]byte, hugeSize)
	for i := range b {
		b[i] = 'x'
	}
	b[0], b[len(b)-1] = '"', '"'
	return b
}

// faultyListener breaks connections while the home refuses them.
type faultyListener struct {
	net.Listener
	home *Home
}

func (l faultyListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if f, _ := l.home.fault(); !f.refuse {
			return c, nil
		}
		reset(c)
	}
}

// reset closes a connection as a process that died does.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
