package boltstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// The buckets. Values are JSON where nothing else is said; numbers are 8 bytes,
// big endian, so that keys sort as the numbers do.
var (
	bucketMeta     = []byte("meta")     // format, id, paused
	bucketActions  = []byte("actions")  // name → action
	bucketTokens   = []byte("tokens")   // id → token
	bucketIDs      = []byte("ids")      // every id ever given → nothing
	bucketCreated  = []byte("created")  // time of creation, id → what lists choose by
	bucketByAction = []byte("byaction") // action, 0, id → nothing
	bucketForeign  = []byte("foreign")  // hash of a link from elsewhere → id
	bucketAttempts = []byte("attempts") // seq → attempt
	bucketPending  = []byte("pending")  // seq of an attempt not settled → nothing
	bucketKeys     = []byte("keys")     // token, 0, key → seq of an attempt
	bucketLog      = []byte("log")      // seq → entry
	bucketByToken  = []byte("bytoken")  // token, 0, seq of an entry → nothing

	bucketCredentials = []byte("credentials") // id → credential

	buckets = [][]byte{
		bucketMeta, bucketActions, bucketTokens, bucketIDs, bucketCreated, bucketByAction, bucketForeign,
		bucketAttempts, bucketPending, bucketKeys, bucketLog, bucketByToken, bucketCredentials,
	}

	metaFormat = []byte("format")
	metaID     = []byte("id")
	metaPaused = []byte("paused")
)

// growing buckets get their keys in order: their pages can be filled up.
const growing = 0.95

// tx is an onetime.Tx on a bbolt transaction.
type tx struct {
	b     *bolt.Tx
	dirty bool // something was written

	// read is how tokens that were read in this transaction stand in the
	// indexes.
	read map[string]indexed
}

// indexed is what the indexes know of a token.
type indexed struct {
	actions               []string
	maker, guest, comment string
	standing              onetime.Standing
}

func indexedOf(tok *onetime.Token) indexed {
	return indexed{slices.Clone(tok.Actions), tok.CreatedBy.ID, tok.Guest, tok.Comment, tok.Standing()}
}

// same reports whether the list has nothing new to say of the token.
func (x indexed) same(tok *onetime.Token) bool {
	return slices.Equal(x.actions, tok.Actions) && x.maker == tok.CreatedBy.ID &&
		x.guest == tok.Guest && x.comment == tok.Comment && x.standing == tok.Standing()
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseNumber(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

func joined(a string, b []byte) []byte {
	return append(append(append(make([]byte, 0, len(a)+1+len(b)), a...), 0), b...)
}

func (t *tx) put(bucket, key, value []byte) error {
	t.dirty = true
	return failed("write", t.b.Bucket(bucket).Put(key, value))
}

func (t *tx) putJSON(bucket, key []byte, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return failed("write", err)
	}
	return t.put(bucket, key, value)
}

func (t *tx) delete(bucket, key []byte) error {
	t.dirty = true
	return failed("write", t.b.Bucket(bucket).Delete(key))
}

// get decodes a value into v, or returns onetime.ErrNotFound.
func (t *tx) get(bucket, key []byte, v any) error {
	value := t.b.Bucket(bucket).Get(key)
	if value == nil {
		return onetime.ErrNotFound
	}
	return failed("read", json.Unmarshal(value, v))
}

func (t *tx) Action(name string) (*onetime.Action, error) {
	a := new(onetime.Action)
	if err := t.get(bucketActions, []byte(name), a); err != nil {
		return nil, err
	}
	return a, nil
}

func (t *tx) Actions() ([]*onetime.Action, error) {
	var actions []*onetime.Action
	err := t.b.Bucket(bucketActions).ForEach(func(_, value []byte) error {
		a := new(onetime.Action)
		actions = append(actions, a)
		return json.Unmarshal(value, a)
	})
	return actions, failed("read", err)
}

func (t *tx) PutAction(a *onetime.Action) error {
	return t.putJSON(bucketActions, []byte(a.Name), a)
}

func (t *tx) Credential(id string) (*onetime.Credential, error) {
	c := new(onetime.Credential)
	if err := t.get(bucketCredentials, []byte(id), c); err != nil {
		return nil, err
	}
	return c, nil
}

func (t *tx) Credentials() ([]*onetime.Credential, error) {
	var list []*onetime.Credential
	err := t.b.Bucket(bucketCredentials).ForEach(func(_, value []byte) error {
		c := new(onetime.Credential)
		list = append(list, c)
		return json.Unmarshal(value, c)
	})
	return list, failed("read", err)
}

func (t *tx) PutCredential(c *onetime.Credential) error {
	return t.putJSON(bucketCredentials, []byte(c.ID), c)
}

func (t *tx) DeleteAction(name string) error { return t.delete(bucketActions, []byte(name)) }

func (t *tx) Token(id string) (*onetime.Token, error) {
	tok := new(onetime.Token)
	if err := t.get(bucketTokens, []byte(id), tok); err != nil {
		return nil, err
	}
	if t.b.Writable() {
		if t.read == nil {
			t.read = make(map[string]indexed)
		}
		t.read[id] = indexedOf(tok)
	}
	return tok, nil
}

func (t *tx) PutToken(tok *onetime.Token) error {
	id := []byte(tok.ID)
	old, known := t.read[tok.ID]
	if !known {
		switch _, err := t.Token(tok.ID); {
		case err == nil:
			old = t.read[tok.ID]
		case err != onetime.ErrNotFound:
			return err
		default:
			if err := t.put(bucketIDs, id, nil); err != nil {
				return err
			}
		}
	}
	if !slices.Equal(old.actions, tok.Actions) {
		for _, a := range old.actions {
			if err := t.delete(bucketByAction, joined(a, id)); err != nil {
				return err
			}
		}
		for _, a := range tok.Actions {
			if err := t.put(bucketByAction, joined(a, id), nil); err != nil {
				return err
			}
		}
	}
	if old.actions == nil || !old.same(tok) {
		key, packed := createdKey(tok), packListed(nil, tok.Listed())
		if err := t.put(bucketCreated, key, packed); err != nil {
			return err
		}
	}
	if t.read == nil {
		t.read = make(map[string]indexed)
	}
	t.read[tok.ID] = indexedOf(tok)
	if tok.Foreign != nil && t.b.Bucket(bucketForeign).Get(tok.Foreign.Hash) == nil {
		if err := t.put(bucketForeign, tok.Foreign.Hash, id); err != nil {
			return err
		}
	}
	return t.putJSON(bucketTokens, id, tok)
}

// createdKey is a token's place in the order of creation.
func createdKey(tok *onetime.Token) []byte {
	return append(number(uint64(tok.CreatedAt.UnixNano())), tok.ID...)
}

func (t *tx) DeleteToken(id string) error {
	tok, err := t.Token(id)
	if err != nil {
		return err
	}
	for _, a := range tok.Actions {
		if err := t.delete(bucketByAction, joined(a, []byte(id))); err != nil {
			return err
		}
	}
	if err := t.delete(bucketCreated, createdKey(tok)); err != nil {
		return err
	}
	if tok.Foreign != nil {
		if err := t.delete(bucketForeign, tok.Foreign.Hash); err != nil {
			return err
		}
	}
	var keys [][]byte
	prefix := joined(id, nil)
	cursor := t.b.Bucket(bucketKeys).Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := t.delete(bucketKeys, k); err != nil {
			return err
		}
	}
	delete(t.read, id)
	return t.delete(bucketTokens, []byte(id))
}

func (t *tx) IDTaken(id string) (bool, error) {
	k, _ := t.b.Bucket(bucketIDs).Cursor().Seek([]byte(id))
	return string(k) == id, nil
}

func (t *tx) Tokens(after string, fn func(*onetime.Token) bool) error {
	cursor, k, _, err := t.newest(after)
	if err != nil {
		return err
	}
	for ; k != nil; k, _ = cursor.Prev() {
		tok, err := t.Token(string(k[8:]))
		if err != nil {
			return err
		}
		if !fn(tok) {
			return nil
		}
	}
	return nil
}

// newest is where a list begins that goes on after a token, or with the newest.
func (t *tx) newest(after string) (cursor *bolt.Cursor, k, v []byte, err error) {
	cursor = t.b.Bucket(bucketCreated).Cursor()
	if after == "" {
		k, v = cursor.Last()
		return cursor, k, v, nil
	}
	last, err := t.Token(after)
	if err != nil {
		return nil, nil, nil, err
	}
	cursor.Seek(createdKey(last))
	k, v = cursor.Prev()
	return cursor, k, v, nil
}

func (t *tx) TokensOf(action string, fn func(*onetime.Token) bool) error {
	prefix := joined(action, nil)
	cursor := t.b.Bucket(bucketByAction).Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		tok, err := t.Token(string(k[len(prefix):]))
		if err != nil {
			return err
		}
		if !fn(tok) {
			return nil
		}
	}
	return nil
}

func (t *tx) Foreign(hash []byte) (string, error) {
	id := t.b.Bucket(bucketForeign).Get(hash)
	if id == nil {
		return "", onetime.ErrNotFound
	}
	return string(id), nil
}

func (t *tx) ForeignTokens(fn func(*onetime.Token) bool) error {
	cursor := t.b.Bucket(bucketForeign).Cursor()
	for k, id := cursor.First(); k != nil; k, id = cursor.Next() {
		tok, err := t.Token(string(id))
		if err != nil {
			return err
		}
		if !fn(tok) {
			return nil
		}
	}
	return nil
}

func (t *tx) CountTokens() (int, error) { return t.b.Bucket(bucketTokens).Stats().KeyN, nil }

func (t *tx) Attempt(seq uint64) (*onetime.Attempt, error) {
	a := new(onetime.Attempt)
	if err := t.get(bucketAttempts, number(seq), a); err != nil {
		return nil, err
	}
	return a, nil
}

func (t *tx) AppendAttempt(a *onetime.Attempt) error {
	b := t.b.Bucket(bucketAttempts)
	b.FillPercent = growing
	t.dirty = true
	seq, err := b.NextSequence()
	if err != nil {
		return failed("write", err)
	}
	a.Seq = seq
	if a.Outcome == onetime.OutcomePending {
		if err := t.put(bucketPending, number(seq), nil); err != nil {
			return err
		}
	}
	return t.putJSON(bucketAttempts, number(seq), a)
}

func (t *tx) PutAttempt(a *onetime.Attempt) error {
	if a.Outcome != onetime.OutcomePending {
		if err := t.delete(bucketPending, number(a.Seq)); err != nil {
			return err
		}
	}
	return t.putJSON(bucketAttempts, number(a.Seq), a)
}

func (t *tx) Pending(fn func(*onetime.Attempt) bool) error {
	cursor := t.b.Bucket(bucketPending).Cursor()
	for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
		a := new(onetime.Attempt)
		if err := t.get(bucketAttempts, k, a); err != nil {
			return err
		}
		if !fn(a) {
			return nil
		}
	}
	return nil
}

func (t *tx) Key(token, key string) (uint64, error) {
	seq, ok := parseNumber(t.b.Bucket(bucketKeys).Get(joined(token, []byte(key))))
	if !ok {
		return 0, onetime.ErrNotFound
	}
	return seq, nil
}

func (t *tx) PutKey(token, key string, seq uint64) error {
	return t.put(bucketKeys, joined(token, []byte(key)), number(seq))
}

func (t *tx) DeleteKey(token, key string) error {
	return t.delete(bucketKeys, joined(token, []byte(key)))
}

func (t *tx) AppendEntry(e *onetime.Entry) error {
	b := t.b.Bucket(bucketLog)
	b.FillPercent = growing
	t.dirty = true
	seq, err := b.NextSequence()
	if err != nil {
		return failed("write", err)
	}
	e.Seq = seq
	if e.Token != "" {
		if err := t.put(bucketByToken, joined(e.Token, number(seq)), nil); err != nil {
			return err
		}
	}
	return t.putJSON(bucketLog, number(seq), e)
}

func (t *tx) LastEntry() (uint64, error) { return t.b.Bucket(bucketLog).Sequence(), nil }

func (t *tx) Entries(before uint64, fn func(*onetime.Entry) bool) error {
	cursor := t.b.Bucket(bucketLog).Cursor()
	k, v := cursor.Last()
	if before != 0 {
		if at, _ := cursor.Seek(number(before)); at == nil {
			k, v = cursor.Last()
		} else {
			k, v = cursor.Prev()
		}
	}
	for ; k != nil; k, v = cursor.Prev() {
		if more, err := entry(v, fn); !more {
			return err
		}
	}
	return nil
}

func (t *tx) EntriesOf(token string, before uint64, fn func(*onetime.Entry) bool) error {
	prefix := joined(token, nil)
	if before == 0 {
		before = 1<<64 - 1
	}
	log := t.b.Bucket(bucketLog)
	cursor := t.b.Bucket(bucketByToken).Cursor()
	k, _ := cursor.Seek(append(prefix, number(before)...))
	if k == nil {
		k, _ = cursor.Last()
	} else {
		k, _ = cursor.Prev()
	}
	for ; bytes.HasPrefix(k, prefix); k, _ = cursor.Prev() {
		v := log.Get(k[len(prefix):])
		if v == nil {
			continue
		}
		if more, err := entry(v, fn); !more {
			return err
		}
	}
	return nil
}

func (t *tx) EntriesAfter(after uint64, fn func(*onetime.Entry) bool) error {
	cursor := t.b.Bucket(bucketLog).Cursor()
	for k, v := cursor.Seek(number(after + 1)); k != nil; k, v = cursor.Next() {
		if more, err := entry(v, fn); !more {
			return err
		}
	}
	return nil
}

// entry hands a decoded entry to fn and reports whether to go on.
func entry(value []byte, fn func(*onetime.Entry) bool) (bool, error) {
	e := new(onetime.Entry)
	if err := json.Unmarshal(value, e); err != nil {
		return false, failed("read", err)
	}
	return fn(e), nil
}

func (t *tx) Prune(before time.Time, n int) (int, error) {
	deleted := 0
	var seqs [][]byte
	var keys [][]byte
	cursor := t.b.Bucket(bucketAttempts).Cursor()
	for k, v := cursor.First(); k != nil && len(seqs) < n; k, v = cursor.Next() {
		var a onetime.Attempt
		if err := json.Unmarshal(v, &a); err != nil {
			return 0, failed("read", err)
		}
		if !a.At.Before(before) {
			break
		}
		if a.Outcome == onetime.OutcomePending {
			continue
		}
		if keep, err := t.keyCounts(&a); err != nil {
			return 0, err
		} else if keep {
			continue
		}
		seqs = append(seqs, bytes.Clone(k))
		if a.Key != "" {
			if seq, err := t.Key(a.Token, a.Key); err == nil && seq == a.Seq {
				keys = append(keys, joined(a.Token, []byte(a.Key)))
			}
		}
	}
	for _, k := range seqs {
		if err := t.delete(bucketAttempts, k); err != nil {
			return 0, err
		}
		deleted++
	}
	for _, k := range keys {
		if err := t.delete(bucketKeys, k); err != nil {
			return 0, err
		}
	}

	var entries []*onetime.Entry
	cursor = t.b.Bucket(bucketLog).Cursor()
	for k, v := cursor.First(); k != nil && len(entries) < n; k, v = cursor.Next() {
		e := new(onetime.Entry)
		if err := json.Unmarshal(v, e); err != nil {
			return 0, failed("read", err)
		}
		if !e.At.Before(before) {
			break
		}
		entries = append(entries, e)
	}
	for _, e := range entries {
		if err := t.delete(bucketLog, number(e.Seq)); err != nil {
			return 0, err
		}
		if e.Token != "" {
			if err := t.delete(bucketByToken, joined(e.Token, number(e.Seq))); err != nil {
				return 0, err
			}
		}
		deleted++
	}
	return deleted, nil
}

// keyCounts reports whether an attempt's key still stands for a use that it has
// spent: until the host gives it back or the token is forgotten, pressing with
// that key must not spend another. Where there is no limit, no use is missed.
func (t *tx) keyCounts(a *onetime.Attempt) (bool, error) {
	if a.Key == "" || !a.Spent {
		return false, nil
	}
	tok, err := t.Token(a.Token)
	if err == onetime.ErrNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return tok.UsesMax != nil && tok.Uses[a.Action].Epoch == a.Epoch, nil
}

func (t *tx) Paused() (bool, error) { return t.b.Bucket(bucketMeta).Get(metaPaused) != nil, nil }

func (t *tx) SetPaused(paused bool) error {
	if paused {
		return t.put(bucketMeta, metaPaused, []byte{1})
	}
	return t.delete(bucketMeta, metaPaused)
}

var _ onetime.Tx = (*tx)(nil)
