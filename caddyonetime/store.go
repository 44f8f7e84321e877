package caddyonetime

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-hass/caddy-hass/caddyonetime/boltstore"
	"github.com/caddy-hass/caddy-hass/caddyonetime/onetime"
)

func init() {
	caddy.RegisterModule(new(BoltStore))
}

// Store is a module in the namespace "hass_onetime.stores". Provisioning it
// opens and writes nothing.
type Store interface {
	// Resolve names the store so that two configurations that mean the same
	// one agree. It may look at the file system, but changes nothing.
	Resolve() (string, error)

	// Open opens the store of that name. It gives up after a few seconds
	// where another process holds it.
	Open(resolved string) (onetime.Store, error)
}

// BoltStore keeps everything in one file of bbolt.
type BoltStore struct {
	// Path of the file. Default: onetime.db in Caddy's data folder. It must
	// not be on a network file system.
	Path string `json:"path,omitempty"`

	path string
}

// CaddyModule returns the Caddy module information.
func (*BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "hass_onetime.stores.bbolt", New: func() caddy.Module { return new(BoltStore) }}
}

// Provision fills in the path.
func (s *BoltStore) Provision(caddy.Context) error {
	s.path = filepath.Join(caddy.AppDataDir(), "onetime.db")
	if s.Path != "" {
		path, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		s.path = path
	}
	path, err := filepath.Abs(s.path)
	if err != nil {
		return fmt.Errorf("path %q: %w", s.path, err)
	}
	s.path = path
	if info, err := os.Stat(s.path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: name a file in it, such as %s", s.path, filepath.Join(s.path, "onetime.db"))
	}
	return nil
}

// FilePath is the absolute path of the file.
func (s *BoltStore) FilePath() string { return s.path }

// Resolve follows symbolic links, as far as the path exists.
func (s *BoltStore) Resolve() (string, error) {
	dir, rest := s.path, ""
	for {
		resolved, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(resolved, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", err
		}
		// A link to a file that does not exist yet names the file it makes.
		if target, err := os.Readlink(dir); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(dir), target)
			}
			dir = target
			continue
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = filepath.Dir(dir)
	}
}

// Open opens the file and makes it, and its folder, where there is none.
func (s *BoltStore) Open(resolved string) (onetime.Store, error) { return boltstore.Open(resolved) }

// Interface guards
var (
	_ Store             = (*BoltStore)(nil)
	_ caddy.Provisioner = (*BoltStore)(nil)
)
