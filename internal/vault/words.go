package vault

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/sethvargo/go-diceware/diceware"
)

const wordCount = 7776 // of the EFF's large list: 6^5

type wordlist struct {
	words []string
	index map[string][]int // by the word's letters; the list has "yoyo" and "yo-yo"
	parts map[string]bool  // the halves of the hyphenated words, "yo yo"
}

// wordList is the EFF's large list in the order of its dice rolls.
var wordList = sync.OnceValue(func() wordlist {
	list := diceware.WordListEffLarge()
	l := wordlist{index: make(map[string][]int, wordCount), parts: map[string]bool{}}
	for i := range wordCount {
		word := list.WordAt(diceRoll(i))
		if word == "" {
			panic(fmt.Sprintf("vault: the word list has no word for %d", diceRoll(i)))
		}
		l.words = append(l.words, word)
		plain := strings.ReplaceAll(word, "-", "")
		l.index[plain] = append(l.index[plain], i)
		if first, second, ok := strings.Cut(word, "-"); ok {
			l.parts[first+" "+second] = true
		}
	}
	return l
})

// diceRoll turns a number into five digits from 1 to 6, as the list counts.
func diceRoll(n int) int {
	roll := 0
	for place := 1; place <= 10000; place *= 10 {
		roll += (n%6 + 1) * place
		n /= 6
	}
	return roll
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

// joinHyphenated puts the list's few hyphenated words together again after a
// text was cut at every hyphen.
func joinHyphenated(typed []string) []string {
	list := wordList()
	var out []string
	for i := 0; i < len(typed); i++ {
		if i+1 < len(typed) && list.parts[typed[i]+" "+typed[i+1]] {
			out = append(out, typed[i]+typed[i+1])
			i++
			continue
		}
		out = append(out, typed[i])
	}
	return out
}

const (
	maxNearest  = 3
	maxDistance = 2
	longestWord = 9 // of the list, in letters
)

// nearest returns up to three words that differ from w by at most two letters
// put in, left out, replaced or swapped; those least different first.
func (l wordlist) nearest(w string) []string {
	if len(w) > longestWord+maxDistance {
		return nil
	}
	byDistance := make([][]string, maxDistance+1)
	for _, word := range l.words {
		if d := distance(w, word); d <= maxDistance {
			byDistance[d] = append(byDistance[d], word)
		}
	}
	found := slices.Concat(byDistance...)
	return found[:min(len(found), maxNearest)]
}

// distance is the optimal string alignment distance in bytes, for strings of
// at most longestWord+maxDistance; more than maxDistance is not told apart.
func distance(a, b string) int {
	if len(a)-len(b) > maxDistance || len(b)-len(a) > maxDistance {
		return maxDistance + 1
	}
	var before, last, row [longestWord + maxDistance + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	least := 0 // of the last row
	for i := 1; i <= len(a); i++ {
		leastBefore := least
		least = i
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > maxDistance && leastBefore > maxDistance {
			return maxDistance + 1
		}
		before, last = last, row
	}
	return last[len(b)]
}
