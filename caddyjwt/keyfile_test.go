package caddyjwt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// watched is a handler over a key file that only looks when it is told to, or a token makes it.
type watched struct {
	*HassJWT
	file *keyFile
	now  time.Time
}

func watch(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{HassJWT: newHandler(t, new(HassJWT)), now: noon}
	clock := func() time.Time { return w.now }
	w.file = newKeyFile(path, clock)
	w.file.look()
	w.keys, w.checks.now = w.file, clock
	return w
}

func (w *watched) status(t *testing.T, token string) int {
	t.Helper()
	return serve(t, w.HassJWT, get("/", "Cookie: jwt_access_token="+token)).status()
}

func (w *watched) want(t *testing.T, what string, want int, token string) {
	t.Helper()
	if got := w.status(t, token); got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func TestThreat08_ANewKeyCountsAtOnceAndTheOldOneEndsWithItsLastCookie(t *testing.T) {
	for how, replace := range map[string]func(t *testing.T, path string, text []byte){
		"written in place": func(t *testing.T, path string, text []byte) { writeFile(t, path, text) },
		"renamed over it": func(t *testing.T, path string, text []byte) {
			writeFile(t, path+".new", text)
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"deleted and made anew": func(t *testing.T, path string, text []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, text)
		},
	} {
		t.Run(how, func(t *testing.T) {
			oldKey, newKey := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
			path := tempPEM(t, oldKey)
			w := watch(t, path)
			oldCookie, unseen := mint(t, oldKey, claimsAt(noon)), mint(t, oldKey, with(claimsAt(noon), map[string]any{"sub": "unseen"}))
			w.want(t, "before", 200, oldCookie)

			w.now = noon.Add(10 * time.Second)
			replace(t, path, publicPEM(t, newKey))
			w.want(t, "the new key, first thing", 200, mint(t, newKey, claimsAt(w.now)))
			w.want(t, "the old key's cookie", 200, oldCookie)
			w.want(t, "the old key's cookie that was not seen before", 200, unseen)
			w.want(t, "the old key's cookie from after the change", 401, mint(t, oldKey, claimsAt(noon.Add(11*time.Second))))
			w.want(t, "the old key's cookie that does not say when", 401, mint(t, oldKey, with(claimsAt(noon), map[string]any{"iat": nil})))
			w.now = noon.Add(30*time.Minute + 30*time.Second)
			w.want(t, "the old key's cookie after its end", 401, oldCookie)

			// The old key comes back, as when a file is restored.
			replace(t, path, publicPEM(t, oldKey))
			w.want(t, "the old key again", 200, mint(t, oldKey, claimsAt(w.now)))
			w.now = w.now.Add(keyRetired + time.Minute)
			w.file.look()
			if n := len(w.file.Keys().keys); n != 1 {
				t.Errorf("%d keys are remembered after a day, want 1", n)
			}
		})
	}
}

func TestThreat08_TruncatedDamagedAndUnreadableFilesKeepTheKey(t *testing.T) {
	k, next := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	path := tempPEM(t, k)
	w := watch(t, path)
	text := publicPEM(t, next)
	private, weak := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", string(publicPEM(t, newEC(t, elliptic.P224())))
	for _, content := range []string{"", "\n", string(text[:10]), string(text[:100]), string(text[:len(text)-10]), "garbage", private, weak, strings.Repeat("x", maxKeyFile+1)} {
		writeFile(t, path, []byte(content))
		w.now = w.now.Add(time.Second)
		w.file.look()
		w.want(t, "a cookie from before, with "+content[:min(20, len(content))], 200, mint(t, k, claimsAt(noon)))
		w.want(t, "a new cookie, with "+content[:min(20, len(content))], 200, mint(t, k, claimsAt(w.now)))
	}
	// A directory, or a pipe that nobody writes to, in its place.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	w.file.look()
	w.want(t, "with a directory in its place", 200, mint(t, k, claimsAt(w.now)))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, text)
	w.want(t, "the next key, once it is whole", 200, mint(t, next, claimsAt(w.now)))
}

func TestThreat08_DeletedFile(t *testing.T) {
	k := newEC(t, elliptic.P256())
	path := tempPEM(t, k)
	w := watch(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.file.look()
	w.want(t, "a cookie from before", 200, mint(t, k, claimsAt(noon)))
	w.now = noon.Add(time.Minute)
	w.want(t, "a cookie from shortly after", 200, mint(t, k, claimsAt(w.now)))
	w.now = noon.Add(keyFileGone + time.Minute)
	w.want(t, "a cookie from long after", 401, mint(t, k, claimsAt(w.now)))
	w.want(t, "a cookie from before, long after", 200, mint(t, k, claimsAt(noon)))
	writeFile(t, path, publicPEM(t, k))
	w.want(t, "when it is back", 200, mint(t, k, claimsAt(w.now)))
}

func TestThreat08_SymlinkSwapped(t *testing.T) {
	a, b := newEC(t, elliptic.P256()), newEC(t, elliptic.P256())
	dir := t.TempDir()
	for name, k := range map[string]*ecdsa.PrivateKey{"a": a, "b": b} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name, "key.pem"), publicPEM(t, k))
		old := noon.Add(-time.Hour) // the same size and time: only what it points to differs
		if err := os.Chtimes(filepath.Join(dir, name, "key.pem"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target string) { // as Kubernetes swaps a volume: ..data → another folder, by rename
		if err := os.Symlink(target, filepath.Join(dir, "tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("a")
	if err := os.Symlink("..data/key.pem", filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	w := watch(t, filepath.Join(dir, "key.pem"))
	w.want(t, "before", 200, mint(t, a, claimsAt(noon)))
	w.want(t, "before", 401, mint(t, b, claimsAt(noon)))
	w.now = noon.Add(time.Second)
	link("b")
	w.want(t, "the new one", 200, mint(t, b, claimsAt(w.now)))
	w.want(t, "the old one", 200, mint(t, a, claimsAt(noon)))
	link("nowhere")
	w.want(t, "a link to nowhere", 200, mint(t, b, claimsAt(w.now)))
}

// TestThreat08_NoRequestFails rewrites the file, as jwt_cookie does and worse, while residents
// come with cookies of the present key and of the one before.
func TestThreat08_NoRequestFails(t *testing.T) {
	key0 := newEC(t, elliptic.P256())
	path := tempPEM(t, key0)
	source, release, err := acquireKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	h := newHandler(t, new(HassJWT))
	h.keys, h.checks.now, h.logger = source, time.Now, zap.NewNop()

	var cookies sync.Map // those that must be good
	var served atomic.Int64
	cookies.Store(0, mint(t, key0, claimsAt(time.Now())))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				cookies.Range(func(n, token any) bool {
					res := serve(t, h, get("/", "Cookie: jwt_access_token="+token.(string)))
					if res.passed == nil {
						t.Errorf("cookie of key %d refused: %v", n, res.err)
					}
					served.Add(1)
					return true
				})
			}
		})
	}
	for n := 1; n <= maxRetired-1; n++ {
		k := newEC(t, elliptic.P256())
		text := publicPEM(t, k)
		writeFile(t, path, nil)
		writeFile(t, path, text[:len(text)/2])
		if n%2 == 0 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		writeFile(t, path, text)
		cookies.Store(n, mint(t, k, claimsAt(time.Now())))
		before := served.Load()
		until(t, "served with it", func() bool { return served.Load() > before+200 })
	}
	close(done)
	wg.Wait()
}

func TestThreat08_OnlySoManyOldKeys(t *testing.T) {
	first := newEC(t, elliptic.P256())
	path := tempPEM(t, first)
	w := watch(t, path)
	for range maxRetired {
		writeFile(t, path, publicPEM(t, newEC(t, elliptic.P256())))
		w.file.look()
	}
	w.want(t, "the oldest that is remembered", 200, mint(t, first, claimsAt(noon)))
	writeFile(t, path, publicPEM(t, newEC(t, elliptic.P256())))
	w.want(t, "one too many", 401, mint(t, newEC(t, elliptic.P256()), claimsAt(noon)))
	w.want(t, "the oldest", 401, mint(t, first, claimsAt(noon)))
}

func TestThreat09_ClosedUntilTheFileAppears(t *testing.T) {
	k := newEC(t, elliptic.P256())
	path := filepath.Join(t.TempDir(), "later", "jwt_cookie.pem")
	w := watch(t, path)
	token := mint(t, k, claimsAt(noon))
	w.want(t, "absent", 401, token)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	w.want(t, "only the folder", 401, token)
	writeFile(t, path, nil)
	w.want(t, "empty", 401, token)
	writeFile(t, path, publicPEM(t, k))
	w.want(t, "there", 200, token)
}

// TestThreat09_PolledWithoutAnyToken: the file is seen without anybody asking.
func TestThreat09_PolledWithoutAnyToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jwt_cookie.pem")
	source, release, err := acquireKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(source.Keys().keys) != 0 {
		t.Fatal("keys out of nothing")
	}
	writeFile(t, path, publicPEM(t, newEC(t, elliptic.P256())))
	until(t, "the key seen", func() bool { return len(source.Keys().keys) == 1 })
	if err := release(); err != nil {
		t.Fatal(err)
	}
}

func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	path := tempPEM(t, newEC(t, elliptic.P256()))
	old := noon.Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	f := newKeyFile(path, atNoon)
	f.look()
	before := f.Keys()
	if n := testing.AllocsPerRun(100, f.look); n > 8 { // a stat's
		t.Errorf("%v allocations for an unchanged file", n)
	}
	if f.Refresh() != before {
		t.Error("a new set for the same keys: what was remembered is lost")
	}
	// The same key written again is not new, either.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, text)
	if f.Refresh() != before {
		t.Error("a new set for the same key")
	}
}

func TestKeyFilesAreShared(t *testing.T) {
	path := tempPEM(t, newEC(t, elliptic.P256()))
	goroutines := runtime.NumGoroutine()
	var sources []*keyFile
	var releases []func() error
	for range 3 {
		source, release, err := acquireKeyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sources, releases = append(sources, source), append(releases, release)
	}
	if len(slices.Compact(sources)) != 1 {
		t.Error("one path, several sources")
	}
	// A configuration with a file that has become bad is refused; those that run go on.
	writeFile(t, path, []byte("garbage"))
	if _, _, err := acquireKeyFile(path); err == nil {
		t.Error("a bad file is taken")
	}
	if len(sources[0].Keys().keys) != 1 {
		t.Error("the key is lost")
	}
	for _, release := range releases {
		if err := release(); err != nil {
			t.Fatal(err)
		}
	}
	if _, held := keyFiles.References(path); held {
		t.Error("still watched")
	}
	until(t, "goroutines level", func() bool { return runtime.NumGoroutine() <= goroutines })
}
