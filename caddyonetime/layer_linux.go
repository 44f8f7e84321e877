package caddyonetime

import (
	"log/slog"
	"path/filepath"
	"syscall"
)

// overlayfs is the type of file system that a container's own layer is on.
const overlayfs = 0x794c7630

// warnIfLost says so where the store is on a container's own layer, which goes
// with the container.
func warnIfLost(log *slog.Logger, store Store) {
	file, ok := store.(interface{ FilePath() string })
	if !ok {
		return
	}
	dir := filepath.Dir(file.FilePath())
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) == nil && int64(st.Type) == overlayfs {
		log.Warn("the store is on the container's own layer: all links are lost with the container. Mount a volume there", "dir", dir)
	}
}
