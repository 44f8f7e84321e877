package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// LinkKey is the secret that makes links from tokens.
type LinkKey struct {
	// Find looks for it in Caddy's storage.
	Find func(ctx context.Context) (found bool, err error)

	// Path is the file that holds it, where storage is files.
	Path func(ctx context.Context) (string, error)
}

// Bounds of a healthy store: a redemption waits for a write to disk, and a
// store that cannot grow takes none.
const (
	slowSync  = 200 * time.Millisecond
	lowSpace  = 100 << 20
	noSpace   = 10 << 20
	syncTries = 3
)

func (s *Subject) store(context.Context) []Finding {
	o := s.OneTime
	var out []Finding
	add := collect(&out, "store", "")
	if o.Err != nil {
		add("", Fail, fmt.Sprintf("links do not work: %v", o.Err), "See the log of this Caddy.").
			says("broken", "why", o.Err).advises("log")
		return out
	}
	if o.StorePath == "" {
		add("", OK, "open", "").saysAs("doctor.good")
		return out
	}
	dir := filepath.Dir(o.StorePath)
	if _, err := os.Stat(o.StorePath); err != nil {
		add("", Fail, fmt.Sprintf("%s is open, but gone from its folder: %v", o.StorePath, err),
			"Make a backup now, by caddy hass backup, before this Caddy ends; then find out what removes that file.").
			says("store_gone", "path", o.StorePath, "why", err).advises("backup", "example", "caddy hass backup")
		return out
	}
	took, err := measureSync(dir)
	switch {
	case err != nil:
		add("", Fail, fmt.Sprintf("%s cannot be written: %v", dir, err),
			fmt.Sprintf("Give the folder to the user that Caddy runs as (uid %d), or make room on its disk.", os.Getuid())).
			says("store_unwritable", "path", dir, "why", err).advises("owner", "uid", strconv.Itoa(os.Getuid()))
	case took > slowSync:
		add("", Warn, fmt.Sprintf("%s: a write to disk takes %s; each press of a guest waits for one", o.StorePath, took.Round(time.Millisecond)),
			"Put the store on a faster disk: store bbolt <path>.").
			says("store_time", "path", o.StorePath, "time", took.Round(time.Millisecond).String()).advises("fast_disk", "example", storeDisk)
	default:
		add("", OK, fmt.Sprintf("%s: a write to disk takes %s", o.StorePath, took.Round(10*time.Microsecond)), "").
			says("store_time", "path", o.StorePath, "time", took.Round(10*time.Microsecond).String())
	}
	fs, err := statFS(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		add(".filesystem", Warn, fmt.Sprintf("could not be looked at: %v", err), "").says("unchecked", "why", err)
	default:
		fs.judge(add)
		judgeSpace(fs.free, add)
	}
	return out
}

// measureSync is the middle one of a few durable writes of a small file.
func measureSync(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".caddy-hass-doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took [syncTries]time.Duration
	page := make([]byte, 4096)
	for i := range took {
		begin := time.Now()
		if _, err := f.WriteAt(page, int64(i*len(page))); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(begin)
	}
	lo, hi := min(took[0], took[1]), max(took[0], took[1])
	return max(lo, min(hi, took[2])), nil
}

// fileSystem is where a folder is.
type fileSystem struct {
	name string // empty: an ordinary one
	free uint64 // bytes
}

// storeDisk is the word that says where the store is.
const storeDisk = "store bbolt <path>"

func (f fileSystem) judge(add addFunc) {
	switch f.name {
	case "overlay":
		add(".filesystem", Warn, "the store is on the container's own layer: all links are lost when the container is replaced",
			"Mount a volume at Caddy's data folder, such as caddy_data:/data.").
			says("fs_overlay").advises("volume", "example", "caddy_data:/data")
	case "tmpfs":
		add(".filesystem", Warn, "the store is in memory: all links are lost when the machine restarts", "Put it on a disk: store bbolt <path>.").
			says("fs_memory").advises("disk", "example", storeDisk)
	case "nfs", "smb", "9p", "fuse":
		add(".filesystem", Warn, "the store is on a file system ("+f.name+") that may not keep what it says it has written",
			"Put it on a disk of this machine: store bbolt <path>.").
			says("fs_network", "name", f.name).advises("disk", "example", storeDisk)
	default:
		add(".filesystem", OK, "an ordinary disk", "").saysAs("doctor.good")
	}
}

func judgeSpace(free uint64, add addFunc) {
	size := fmt.Sprintf("%d MiB", free>>20)
	if free >= 10<<30 {
		size = fmt.Sprintf("%d GiB", free>>30)
	}
	text := size + " free"
	switch {
	case free < noSpace:
		add(".space", Fail, text+": links stop working when there is none", "Make room on that disk.").says("space", "size", size).advises("room")
	case free < lowSpace:
		add(".space", Warn, text, "Make room on that disk: links stop working when there is none.").says("space", "size", size).advises("room")
	default:
		add(".space", OK, text, "").says("space", "size", size)
	}
}

func (s *Subject) linkKey(ctx context.Context) []Finding {
	o := s.OneTime
	if o.Err != nil || o.LinkKey.Find == nil {
		return nil
	}
	f := Finding{Check: "link_key", Level: OK, Text: "present in Caddy's storage"}
	found, err := o.LinkKey.Find(ctx)
	switch {
	case err != nil:
		f.Level, f.Text = Fail, fmt.Sprintf("Caddy's storage could not be asked for it: %v", err)
		f.says("unchecked", "why", err)
		return one(&f)
	case !found:
		f.Level, f.Text = Fail, "it is gone from Caddy's storage: links work until this Caddy ends, and none of them after"
		f.Advice = "Make a backup now, by caddy hass backup: it holds the key. Restore it after the restart."
		f.says("key_gone").advises("backup", "example", "caddy hass backup")
		return one(&f)
	}
	if o.LinkKey.Path == nil {
		return one(f.saysAs("doctor.good"))
	}
	path, err := o.LinkKey.Path(ctx)
	if err != nil || path == "" {
		return one(f.saysAs("doctor.good"))
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		f.Level, f.Text = Fail, fmt.Sprintf("it cannot be read: %v", err)
		f.says("unchecked", "why", err)
	case info.Mode().Perm()&0o077 != 0 && permissionsMatter:
		f.Level, f.Text = Fail, fmt.Sprintf("others on this machine can read it: %s has mode %s", path, octal(info.Mode()))
		f.Advice = "chmod 600 " + path
		f.says("key_open", "path", path, "mode", octal(info.Mode())).advises("run", "example", f.Advice)
	default:
		f.Text = path + ", mode " + octal(info.Mode())
		f.saysAs("doctor.good")
	}
	return one(&f)
}

func octal(m fs.FileMode) string { return fmt.Sprintf("%04o", m.Perm()) }
