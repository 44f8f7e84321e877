// Package pagetest looks at pages in a browser, for the tests of whoever has some:
// it takes pictures of each state in each look, and examines each state for what
// shuts people out, breaks out of the screen, moves or weighs too much.
//
// The environment says what is wanted; without, the tests that use it are skipped:
//
//	SCREENSHOTS=/tmp/pages   the folder for the pictures
//	AXE=/tmp/axe.min.js      axe-core's file, which is not part of this project
//	PAGES=dark,new-forever   only where the name has one of these parts
package pagetest
