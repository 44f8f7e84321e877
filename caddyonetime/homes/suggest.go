package homes

import (
	"cmp"
	"slices"
	"strings"
)

// didYouMean ends a message with the names that are most like a wrong one:
// ": did you mean `lock.unlock`?", or nothing where none is like it.
func didYouMean(wrong string, names []string) string {
	like := alike(wrong, names)
	if len(like) == 0 {
		return ""
	}
	return ": did you mean `" + strings.Join(like, "` or `") + "`?"
}

// alike are the names that are most like a wrong one.
func alike(wrong string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	limit := 1 + len(wrong)/5
	for _, n := range names {
		if d := distance(wrong, n, limit); d <= limit && n != wrong {
			found = append(found, candidate{n, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var like []string
	for _, c := range found[:min(3, len(found))] {
		if c.distance == found[0].distance {
			like = append(like, c.name)
		}
	}
	return like
}

// distance is the number of letters to change, add, drop or swap with their
// neighbour between two names; anything above limit where it is more than that.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
