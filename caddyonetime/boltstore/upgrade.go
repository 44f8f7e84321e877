package boltstore

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// upgrade brings a store of an older format up to date, in the transaction that
// found it to be one: it is of the one format or of the other, never between.
//
// Format 2 keeps beside each token what lists choose by.
func upgrade(btx *bolt.Tx) error {
	meta := btx.Bucket(bucketMeta)
	format, _ := parseNumber(meta.Get(metaFormat))
	if format >= Format {
		return nil
	}
	var keys [][]byte // all of them first: a cursor does not like writes beside it
	err := btx.Bucket(bucketCreated).ForEach(func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	if err != nil {
		return err
	}
	t := &tx{b: btx}
	for _, k := range keys {
		tok := new(onetime.Token)
		switch err := t.get(bucketTokens, k[8:], tok); {
		case errors.Is(err, onetime.ErrNotFound):
			if err := t.delete(bucketCreated, k); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if err := t.put(bucketCreated, k, packListed(nil, tok.Listed())); err != nil {
				return err
			}
		}
	}
	return meta.Put(metaFormat, number(Format))
}
