//go:build !linux

package boltstore

func holder(string) int   { return 0 }
func owner(string) string { return "" }
