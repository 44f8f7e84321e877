package caddyonetime

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

// A backup is a ZIP file of three: what it is, the link key, the store. With
// its link key it opens doors, so it deserves the care of a key.
const (
	backupManifest = "caddy-hass-backup.json"
	backupKey      = "link_key"
	backupStore    = "store"

	backupFormat = 1
)

// storeID keeps a backup from naming another file than a link key.
var storeID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

type manifest struct {
	Format  int       `json:"format"`
	Store   string    `json:"store"` // its id
	Created time.Time `json:"created"`
}

// Backup writes store and link key into one file, while everything runs.
func (a *App) Backup(ctx context.Context, w io.Writer) error {
	e, release, err := a.hold(ctx)
	if err != nil {
		return err
	}
	defer release()

	z := zip.NewWriter(w)
	info, err := json.Marshal(manifest{Format: backupFormat, Store: e.store.ID(), Created: time.Now().UTC()})
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{backupManifest, func(w io.Writer) error { _, err := w.Write(info); return err }},
		{backupKey, func(w io.Writer) error { _, err := w.Write(e.linkKey.bytes()); return err }},
		{backupStore, func(w io.Writer) error { return e.service.Backup(ctx, w) }},
	} {
		part, err := z.CreateHeader(&zip.FileHeader{Name: file.name, Method: zip.Deflate, Modified: time.Now()})
		if err != nil {
			return err
		}
		if err := file.write(part); err != nil {
			return err
		}
	}
	return z.Close()
}

// Restore replaces store and link key by those of a backup, while everything
// runs. A file that is no whole backup changes nothing and is *onetime.BadInput.
// Links with a limit wait afterwards until a host replenishes them, as uses that
// were spent since the backup would have come back.
// The log says who did it.
func (a *App) Restore(ctx context.Context, by onetime.Person, r io.Reader) error {
	e, release, err := a.hold(ctx)
	if err != nil {
		return err
	}
	defer release()

	// A ZIP file is read from its end.
	spool, err := os.CreateTemp("", "caddy-hass-restore-*")
	if err != nil {
		return fmt.Errorf("keeping the backup while it is read: %w", err)
	}
	defer func() {
		spool.Close()
		os.Remove(spool.Name())
	}()
	size, err := io.Copy(spool, r)
	if err != nil {
		return fmt.Errorf("receiving the backup: %w", err)
	}
	z, err := zip.NewReader(spool, size)
	if err != nil {
		return notABackup(err)
	}

	var info manifest
	raw, err := readPart(z, backupManifest, 64<<10)
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return notABackup(err)
	}
	if info.Format > backupFormat || info.Format < 1 {
		return badBackup(fmt.Sprintf("it has format %d and this version reads format %d: use the version that made it, or a newer one", info.Format, backupFormat))
	}
	if !storeID.MatchString(info.Store) {
		return notABackup(errors.New("it does not say which store it is of"))
	}
	key, err := readPart(z, backupKey, 4<<10)
	if err == nil && len(key) != onetime.LinkKeyLength {
		err = fmt.Errorf("its link key has %d bytes instead of %d", len(key), onetime.LinkKeyLength)
	}
	if err != nil {
		return notABackup(err)
	}
	// Reading it whole before anything is replaced checks its sum.
	if err := checkPart(z, backupStore); err != nil {
		return notABackup(err)
	}
	store, err := z.Open(backupStore)
	if err != nil {
		return notABackup(err)
	}
	defer store.Close()

	// The key goes first: a key without its store is worth nothing, a store
	// without its key has only dead links.
	undo, err := storeLinkKey(ctx, e.settings.Current().storage, info.Store, key)
	if err != nil {
		return err
	}
	if err := e.service.Restore(ctx, by, store, onetime.NewSigner(key)); err != nil {
		return errors.Join(err, undo())
	}
	e.linkKey.use(key)
	return nil
}

func readPart(z *zip.Reader, name string, limit int64) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New(name + " is too large")
	}
	return b, err
}

func checkPart(z *zip.Reader, name string) error {
	f, err := z.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

func notABackup(err error) error {
	return badBackup("it is no whole backup of caddy hass backup: " + err.Error())
}

func badBackup(message string) error {
	return &onetime.BadInput{Field: "backup", Message: message + "; nothing was changed"}
}
