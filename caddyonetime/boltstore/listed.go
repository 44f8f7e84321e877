package boltstore

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// What lists choose tokens by stands in the bucket of the order of creation,
// packed: flags, the times that the flags say are there, who made it, its
// actions, and to the end the text.
const (
	flagRevoked = 1 << iota
	flagUsedUp
	flagHeld
	flagNotBefore
	flagExpires
)

// packListed appends l to b.
func packListed(b []byte, l *onetime.Listed) []byte {
	flags := byte(0)
	for _, f := range []struct {
		set  bool
		flag byte
	}{
		{l.Revoked, flagRevoked}, {l.UsedUp, flagUsedUp}, {l.Held, flagHeld},
		{!l.NotBefore.IsZero(), flagNotBefore}, {!l.Expires.IsZero(), flagExpires},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	b = append(b, flags)
	for _, t := range []time.Time{l.NotBefore, l.Expires} {
		if !t.IsZero() {
			b = binary.AppendVarint(b, t.Unix())
			b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
		}
	}
	b = packString(b, l.Maker)
	b = binary.AppendUvarint(b, uint64(len(l.Actions)))
	for _, a := range l.Actions {
		b = packString(b, a)
	}
	return append(b, l.Text...)
}

func packString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unpacker reads what packListed has written. Names that come again and again
// are made once.
type unpacker struct {
	rest    []byte
	damaged bool

	names   map[string]string
	actions map[string][]string // by how they are packed
}

func newUnpacker() *unpacker {
	return &unpacker{names: make(map[string]string), actions: make(map[string][]string)}
}

var errListed = errors.New("the list of links is damaged")

// unpack reads into l, whose Text is part of b afterwards.
func (u *unpacker) unpack(b []byte, l *onetime.Listed) error {
	if len(b) == 0 {
		return errListed
	}
	u.rest, u.damaged = b[1:], false
	flags := b[0]
	l.Standing = onetime.Standing{Revoked: flags&flagRevoked != 0, UsedUp: flags&flagUsedUp != 0, Held: flags&flagHeld != 0}
	if flags&flagNotBefore != 0 {
		l.NotBefore = u.time()
	}
	if flags&flagExpires != 0 {
		l.Expires = u.time()
	}
	l.Maker = u.name()
	l.Actions = u.list()
	l.Text = u.rest
	if u.damaged {
		return errListed
	}
	return nil
}

func (u *unpacker) time() time.Time {
	seconds, n := binary.Varint(u.rest)
	u.skip(n)
	return time.Unix(seconds, int64(u.number())).UTC()
}

func (u *unpacker) number() uint64 {
	v, n := binary.Uvarint(u.rest)
	u.skip(n)
	return v
}

// skip goes on by n bytes; not above zero, it says that there was no number.
func (u *unpacker) skip(n int) {
	if n <= 0 || n > len(u.rest) {
		u.damaged, u.rest = true, nil
		return
	}
	u.rest = u.rest[n:]
}

func (u *unpacker) bytes() []byte {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.damaged, u.rest = true, nil
		return nil
	}
	b := u.rest[:n]
	u.rest = u.rest[n:]
	return b
}

func (u *unpacker) name() string {
	b := u.bytes()
	if s, ok := u.names[string(b)]; ok {
		return s
	}
	s := string(b)
	u.names[s] = s
	return s
}

func (u *unpacker) list() []string {
	all := u.rest
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.damaged = true
		return nil
	}
	for range n {
		u.bytes()
	}
	packed := all[:len(all)-len(u.rest)]
	if list, ok := u.actions[string(packed)]; ok || u.damaged {
		return list
	}
	key, end := string(packed), u.rest
	u.rest = all
	list := make([]string, 0, n)
	for range u.number() {
		list = append(list, u.name())
	}
	u.rest = end
	u.actions[key] = list
	return list
}

// Listed walks the order of creation and reads no token.
func (t *tx) Listed(after string, fn func(*onetime.Listed) bool) error {
	cursor, k, v, err := t.newest(after)
	if err != nil {
		return err
	}
	u, l := newUnpacker(), new(onetime.Listed)
	for ; k != nil; k, v = cursor.Prev() {
		l.ID = string(k[8:])
		if err := u.unpack(v, l); err != nil {
			return failed("read", err)
		}
		if !fn(l) {
			return nil
		}
	}
	return nil
}
