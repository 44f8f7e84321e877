package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// Restore replaces everything in the store by a copy that Backup has written.
// The copy is read into a file beside the store and looked at whole before
// anything is changed; the change itself is one transaction.
func (s *Store) Restore(ctx context.Context, r io.Reader, then func(onetime.Tx) error) (err error) {
	defer func() { err = recovered(recover(), "restore", err) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	copied, err := os.CreateTemp(filepath.Dir(s.path), ".restore-*.db")
	if err != nil {
		return failed("restore", err)
	}
	defer os.Remove(copied.Name())
	_, err = io.Copy(copied, r)
	if err := errors.Join(err, copied.Close()); err != nil {
		return failed("restore", err)
	}
	from, err := bolt.Open(copied.Name(), 0o600, &bolt.Options{ReadOnly: true, Timeout: LockTimeout})
	if err != nil {
		return failed("restore", fmt.Errorf("the copy is damaged or is no store: %w", err))
	}
	defer from.Close()
	return from.View(func(source *bolt.Tx) error {
		id, err := sound(ctx, source)
		if err != nil {
			return failed("restore", err)
		}
		err = s.db.Update(func(btx *bolt.Tx) error {
			for _, name := range buckets {
				if err := replace(ctx, btx, source, name); err != nil {
					return failed("restore", err)
				}
			}
			if err := upgrade(btx); err != nil {
				return failed("restore", err)
			}
			return then(&tx{b: btx})
		})
		if err != nil {
			return err
		}
		s.idMu.Lock()
		s.id = id
		s.idMu.Unlock()
		return nil
	})
}

// sound checks that a copy is whole and of a format we know.
func sound(ctx context.Context, source *bolt.Tx) (id string, err error) {
	meta := source.Bucket(bucketMeta)
	if meta == nil {
		return "", errors.New("the copy is not of a store of one-time links")
	}
	if id, err = checkMeta(meta); err != nil {
		return "", err
	}
	if err := whole(source); err != nil {
		return "", err
	}
	return id, ctx.Err()
}

// whole compares what a database says of its size with its file. Reading past
// the end of a truncated one faults.
func whole(btx *bolt.Tx) error {
	info, err := os.Stat(btx.DB().Path())
	if err != nil {
		return err
	}
	if info.Size() < btx.Size() {
		return fmt.Errorf("it is truncated: %d of %d bytes are there", info.Size(), btx.Size())
	}
	return nil
}

func replace(ctx context.Context, to, from *bolt.Tx, name []byte) error {
	if err := to.DeleteBucket(name); err != nil {
		return err
	}
	b, err := to.CreateBucket(name)
	if err != nil {
		return err
	}
	source := from.Bucket(name)
	if source == nil {
		return nil // an older format had no such bucket
	}
	b.FillPercent = growing
	if err := b.SetSequence(source.Sequence()); err != nil {
		return err
	}
	return source.ForEach(func(k, v []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.Put(k, v)
	})
}
