package doctor

import "golang.org/x/sys/unix"

// permissionsMatter: a file's mode says who can read it.
const permissionsMatter = true

func statFS(dir string) (fileSystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fileSystem{}, err
	}
	f := fileSystem{free: uint64(st.Bavail) * uint64(st.Bsize)}
	// The type's width differs between architectures.
	switch uint32(st.Type) {
	case unix.OVERLAYFS_SUPER_MAGIC:
		f.name = "overlay"
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		f.name = "tmpfs"
	case unix.NFS_SUPER_MAGIC:
		f.name = "nfs"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		f.name = "smb"
	case unix.V9FS_MAGIC:
		f.name = "9p"
	case unix.FUSE_SUPER_MAGIC:
		f.name = "fuse"
	}
	return f, nil
}
