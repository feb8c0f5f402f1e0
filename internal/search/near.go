package search

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of looking for what was meant.
const (
	maxNear     = 4     // terms one misspelled word may stand for
	maxSpelling = 24    // words of one query that are looked up so
	maxLooked   = 8_192 // entries of one trigram's list that are looked at
)

// trigrams are the runs of three bytes of a term with a mark at each end; nil
// for what is too short, or no plain word, to be misspelled.
func trigrams(term string) []string {
	if len(term) < 4 || strings.ContainsAny(term, ":.-") || strings.ContainsAny(term, "0123456789") {
		return nil
	}
	marked := "^" + term + "$"
	out := make([]string, 0, len(marked)-2)
	for i := range len(marked) - 2 {
		out = append(out, marked[i:i+3])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// spelling is a term that a word may have been meant to be.
type spelling struct {
	term  int32
	worth float64 // 1 for the same; less the more letters differ
}

// meant returns what a word that no term is may have been meant to be. A slip
// just before an ending hides it from stem, so it is also taken off by force.
func (x *Index) meant(w string) []spelling {
	out := x.near(w)
	for _, end := range []string{"ion", "ing", "ed", "es"} {
		if rest, ok := strings.CutSuffix(w, end); ok && len(out) == 0 {
			out = x.near(rest)
		}
	}
	return out
}

// near returns terms that differ from w by one letter put in, left out,
// replaced or swapped, by two in words of eight letters and more. The nearest
// and commonest come first.
func (x *Index) near(w string) []spelling {
	grams := trigrams(w)
	if grams == nil {
		return nil
	}
	shared := map[int32]int{}
	for _, g := range grams {
		list := x.grams[g]
		for _, t := range list[:min(len(list), maxLooked)] {
			shared[t]++
		}
	}
	allowed := 1
	if utf8.RuneCountInString(w) >= 8 {
		allowed = 2
	}
	var out []spelling
	for t, n := range shared {
		name := x.terms[t].name
		// One change touches at most three trigrams, a swap four.
		if name == w || n < len(grams)-4*allowed || n < 1 || abs(len(name)-len(w)) > 2*allowed {
			continue
		}
		if d := distance(w, name, allowed); d <= allowed {
			out = append(out, spelling{t, 0.8 / float64(d)})
		}
	}
	slices.SortFunc(out, func(a, b spelling) int {
		return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(len(x.terms[b.term].in), len(x.terms[a.term].in)),
			cmp.Compare(x.terms[a.term].name, x.terms[b.term].name))
	})
	return out[:min(len(out), maxNear)]
}

func abs(n int) int { return max(n, -n) }

// distance is the number of letters put in, left out, replaced or swapped with
// their neighbor (optimal string alignment); limit+1 when it is more than limit.
func distance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if abs(len(x)-len(y)) > limit {
		return limit + 1
	}
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := rows[2]
		row[0] = i
		least := i
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			row[j] = min(rows[1][j]+1, row[j-1]+1, rows[1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], rows[0][j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		rows[0], rows[1], rows[2] = rows[1], rows[2], rows[0]
	}
	return rows[1][len(y)]
}
