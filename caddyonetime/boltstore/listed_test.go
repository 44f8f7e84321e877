package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// someTokens stand in every way that a list can tell.
func someTokens() []*onetime.Token {
	at := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	far := time.Date(9999, 12, 31, 23, 59, 59, 999, time.UTC)
	one := 1
	return []*onetime.Token{
		{ID: "AAAAAA", Actions: []string{"a"}, CreatedAt: at},
		{ID: "BBBBBB", Actions: []string{"a", "b"}, Guest: "Zoë", Comment: "Line\nand LINE", CreatedAt: at.Add(1), CreatedBy: onetime.Person{ID: "u1"}},
		{ID: "CCCCCC", Actions: []string{"b"}, CreatedAt: at.Add(2), RevokedAt: &at, Held: true},
		{ID: "DDDDDD", Actions: []string{"a"}, CreatedAt: at.Add(3), UsesMax: &one, Uses: map[string]onetime.ActionUse{"a": {Used: 1}}},
		{ID: "EEEEEE", Actions: []string{"a", "b"}, CreatedAt: at.Add(4), NotBefore: &at, Expires: &far},
	}
}

func put(t testing.TB, s *Store, tokens ...*onetime.Token) {
	t.Helper()
	err := s.Update(func(tx onetime.Tx) error {
		for _, tok := range tokens {
			if err := tx.PutToken(tok); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listed is the whole list, newest first, to keep.
func listed(t testing.TB, s *Store, after string) (all []onetime.Listed) {
	t.Helper()
	err := s.View(func(tx onetime.Tx) error {
		return tx.Listed(after, func(l *onetime.Listed) bool {
			kept := *l
			kept.Text = bytes.Clone(l.Text)
			all = append(all, kept)
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func agree(t *testing.T, s *Store) {
	t.Helper()
	var want []onetime.Listed
	err := s.View(func(tx onetime.Tx) error {
		return tx.Tokens("", func(tok *onetime.Token) bool { want = append(want, *tok.Listed()); return true })
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s, ""); !reflect.DeepEqual(got, want) {
		t.Errorf("the list says\n%+v\nthe tokens say\n%+v", got, want)
	}
}

func TestTheListFollowsTheTokens(t *testing.T) {
	s := newStore(t)
	tokens := someTokens()
	put(t, s, tokens...)
	agree(t, s)
	if all := listed(t, s, "CCCCCC"); len(all) != 2 || all[0].ID != "BBBBBB" {
		t.Errorf("after the third: %+v", all)
	}
	tokens[0].RevokedAt, tokens[0].Guest = &tokens[0].CreatedAt, "Tom"
	tokens[3].Uses = nil
	tokens[2].Actions = []string{"a"}
	put(t, s, tokens...)
	agree(t, s)
	err := s.Update(func(tx onetime.Tx) error { return tx.DeleteToken("CCCCCC") })
	if err != nil {
		t.Fatal(err)
	}
	agree(t, s)
}

// asFormat1 makes of a store one as the first format was.
func asFormat1(t *testing.T, s *Store) {
	t.Helper()
	err := s.db.Update(func(btx *bolt.Tx) error {
		b := btx.Bucket(bucketCreated)
		var keys [][]byte
		_ = b.ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
		for _, k := range keys {
			if err := b.Put(k, nil); err != nil {
				return err
			}
		}
		return btx.Bucket(bucketMeta).Put(metaFormat, number(1))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func format(t *testing.T, s *Store) (n uint64) {
	t.Helper()
	_ = s.db.View(func(btx *bolt.Tx) error {
		n, _ = parseNumber(btx.Bucket(bucketMeta).Get(metaFormat))
		return nil
	})
	return n
}

// A store of the first format is brought up to date when it is opened, and a
// backup of one when it is loaded.
func TestUpgradeFromFormat1(t *testing.T) {
	s := newStore(t)
	put(t, s, someTokens()...)
	asFormat1(t, s)
	var backup bytes.Buffer
	if _, err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	path := s.Path()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := format(t, s); n != Format {
		t.Errorf("format %d after opening", n)
	}
	agree(t, s)

	other := newStore(t)
	refused := errors.New("refused")
	if err := other.Restore(t.Context(), bytes.NewReader(backup.Bytes()), func(onetime.Tx) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if n := format(t, other); n != Format || len(listed(t, other, "")) != 0 {
		t.Errorf("a refused restore left format %d", n)
	}
	if err := other.Restore(t.Context(), bytes.NewReader(backup.Bytes()), func(onetime.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if n := format(t, other); n != Format || len(listed(t, other, "")) != 5 {
		t.Errorf("format %d after a restore", n)
	}
	agree(t, other)
}

// Threat 28: a damaged list is an error, never a panic or a wrong list.
func TestThreat28_DamagedList(t *testing.T) {
	s := newStore(t)
	put(t, s, someTokens()...)
	err := s.db.Update(func(btx *bolt.Tx) error {
		k, v := btx.Bucket(bucketCreated).Cursor().First()
		return btx.Bucket(bucketCreated).Put(bytes.Clone(k), v[:2])
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(func(tx onetime.Tx) error { return tx.Listed("", func(*onetime.Listed) bool { return true }) })
	var broken *onetime.StoreError
	if !errors.As(err, &broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzUnpackListed(f *testing.F) {
	for _, tok := range someTokens() {
		f.Add(packListed(nil, tok.Listed()))
	}
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l onetime.Listed
		if newUnpacker().unpack(b, &l) != nil {
			return
		}
		var again onetime.Listed
		if err := newUnpacker().unpack(packListed(nil, &l), &again); err != nil || fmt.Sprint(again) != fmt.Sprint(l) {
			t.Errorf("%q: %+v, then %+v, %v", b, l, again, err)
		}
	})
}
