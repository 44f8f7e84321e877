//go:build !linux

package doctor

import (
	"errors"
	"runtime"
)

// permissionsMatter: a file's mode says who can read it.
const permissionsMatter = runtime.GOOS != "windows"

func statFS(string) (fileSystem, error) { return fileSystem{}, errors.ErrUnsupported }
