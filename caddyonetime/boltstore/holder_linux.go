package boltstore

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// holder is the process that has locked the file, 0 where that cannot be told.
// See proc_locks(5).
func holder(path string) int {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return 0
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer f.Close()
	inode := fmt.Sprintf(":%d", st.Ino)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			pid, _ := strconv.Atoi(fields[4])
			return max(0, pid)
		}
	}
	return 0
}

// owner says to whom the file or the folder it would be in belongs.
func owner(path string) string {
	var st syscall.Stat_t
	for _, p := range []string{path, path[:strings.LastIndex(path, "/")+1]} {
		if p != "" && syscall.Stat(p, &st) == nil {
			return fmt.Sprintf(" (%s belongs to uid %d: chown it)", p, st.Uid)
		}
	}
	return ""
}
