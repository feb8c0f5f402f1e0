// Package search finds cases by words: what a member types, and what is likely
// the same as a report that just came. It exists because the database sees
// only sealed text; an Index lives in memory alone, is built from opened text
// while the vault is unlocked, and is Cleared when it is locked.
//
// An Index holds what everyone who asks it may see. How often a word occurs,
// and what a misspelled one may mean, comes from all documents in it, so what
// only some may see belongs into an Index of its own; Merge joins their hits.
package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Document is what is found. Adding one with the ID of another replaces that.
type Document struct {
	ID    int64
	Title string // its words count three times
	Text  string // the first 32 KiB of title and text each count
}

// Hit is a document found.
type Hit struct {
	ID    int64
	Score float64  // 0 to 1: how much of what was asked for is in it
	Whole bool     // each word that was asked for is in it, or what it may mean
	Why   []string // words that it was found by, as asked for, the weightiest first; at most 6
}

// Index is safe for concurrent use. The zero value is not ready; see New.
type Index struct {
	mu     sync.RWMutex
	docs   map[int64]*document
	byName map[string]int32
	terms  []term
	free   []int32            // unused places in terms
	grams  map[string][]int32 // the terms a trigram occurs in
	sorted []string           // the names of terms in order, for prefixes; nil: to be made
	weight float64            // sum of all documents' lengths
}

type document struct {
	id     int64
	length float64
	terms  []int32
}

type term struct {
	name string
	in   []posting
}

type posting struct {
	doc   *document
	often float32 // occurrences; one in the title counts for titleWorth
}

// The weights of BM25 (Robertson and Zaragoza 2009) at their usual values, and ours.
const (
	k1         = 1.2
	b          = 0.75
	titleWorth = 3
	maxTerms   = 4_000 // different terms of one document
	maxAsked   = 96    // different terms of one query, the rarest
	maxPrefix  = 32    // terms one prefix stands for, the commonest
	maxWhy     = 6
)

// New makes an empty index.
func New() *Index {
	x := &Index{}
	x.Clear()
	return x
}

// Clear forgets everything.
func (x *Index) Clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.docs, x.byName, x.grams = map[int64]*document{}, map[string]int32{}, map[string][]int32{}
	x.terms, x.free, x.sorted, x.weight = nil, nil, nil, 0
}

// Len is the number of documents.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.docs)
}

// String names no word of what is in it.
func (x *Index) String() string { return fmt.Sprintf("search index of %d documents", x.Len()) }

// Format keeps the documents out of fmt's output, whatever the verb.
func (x *Index) Format(f fmt.State, _ rune) { fmt.Fprint(f, x.String()) }

// Add puts documents in, or replaces them.
func (x *Index) Add(docs ...Document) {
	for _, d := range docs {
		counted, length := count(d) // outside the lock
		x.mu.Lock()
		x.remove(d.ID)
		x.add(d.ID, counted, length)
		x.mu.Unlock()
	}
}

// count says how often each term occurs, and how long the document is.
func count(d Document) (map[string]float32, float64) {
	counted := map[string]float32{}
	length := 0.0
	for i, text := range []string{d.Title, d.Text} {
		worth := float32(1)
		if i == 0 {
			worth = titleWorth
		}
		for _, w := range words(text) {
			if _, known := counted[w.term]; !known && len(counted) == maxTerms {
				continue
			}
			counted[w.term] += worth
			length += float64(worth)
		}
	}
	return counted, length
}

func (x *Index) add(id int64, counted map[string]float32, length float64) {
	d := &document{id: id, length: length, terms: make([]int32, 0, len(counted))}
	for name, often := range counted {
		n, known := x.byName[name]
		if !known {
			n = x.newTerm(strings.Clone(name)) // not a slice of a whole report
		}
		x.terms[n].in = append(x.terms[n].in, posting{d, often})
		d.terms = append(d.terms, n)
	}
	x.docs[id] = d
	x.weight += length
}

func (x *Index) newTerm(name string) int32 {
	n := int32(len(x.terms))
	if last := len(x.free) - 1; last >= 0 {
		n, x.free = x.free[last], x.free[:last]
		x.terms[n] = term{name: name}
	} else {
		x.terms = append(x.terms, term{name: name})
	}
	x.byName[name] = n
	x.sorted = nil
	for _, g := range trigrams(name) {
		x.grams[g] = append(x.grams[g], n)
	}
	return n
}

// Remove takes documents out, with every word that occurs in them alone.
func (x *Index) Remove(ids ...int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range ids {
		x.remove(id)
	}
}

func (x *Index) remove(id int64) {
	d := x.docs[id]
	if d == nil {
		return
	}
	delete(x.docs, id)
	x.weight -= d.length
	for _, n := range d.terms {
		t := &x.terms[n]
		at := slices.IndexFunc(t.in, func(p posting) bool { return p.doc == d })
		last := len(t.in) - 1
		t.in[at], t.in[last] = t.in[last], posting{}
		t.in = t.in[:last]
		if last == 0 {
			x.dropTerm(n)
		}
	}
}

func (x *Index) dropTerm(n int32) {
	name := x.terms[n].name
	for _, g := range trigrams(name) {
		list := x.grams[g]
		at := slices.Index(list, n)
		list[at] = list[len(list)-1]
		if list = list[:len(list)-1]; len(list) == 0 {
			delete(x.grams, g)
		} else {
			x.grams[g] = list
		}
	}
	delete(x.byName, name)
	x.terms[n] = term{}
	x.free = append(x.free, n)
	x.sorted = nil
}

// asked is one thing asked for: the terms that may answer it.
type asked struct {
	shown string
	worth float64 // how much it says: rare words more
	by    []spelling
}

// rarity is what finding a term says: the fewer documents have it, the more.
func (x *Index) rarity(documents int) float64 {
	n := float64(len(x.docs))
	return math.Log(1 + (n-float64(documents)+0.5)/(float64(documents)+0.5))
}

// Similar returns the documents that are most likely about the same as a
// text: its rarest words decide, misspelled ones count too. At most n, the
// likeliest first. The score of a document with all of the words is near 1.
func (x *Index) Similar(text string, n int) []Hit {
	found := words(text)
	x.mu.RLock()
	defer x.mu.RUnlock()
	often := map[string]int{}
	for _, w := range found {
		often[w.term]++
	}
	var ask []asked
	done, spelled := map[string]bool{}, 0
	for _, w := range found {
		if done[w.term] {
			continue
		}
		done[w.term] = true
		a := asked{shown: w.shown}
		if t, known := x.byName[w.term]; known {
			a.by = []spelling{{t, 1}}
		} else if spelled < maxSpelling {
			a.by = x.meant(w.term)
			spelled++
		}
		if len(a.by) == 0 {
			continue
		}
		// A word said again and again matters more, but not as often.
		a.worth = x.rarity(len(x.terms[a.by[0].term].in)) * (1 + math.Log(float64(often[w.term]))/2)
		ask = append(ask, a)
	}
	slices.SortStableFunc(ask, func(a, b asked) int { return cmp.Compare(b.worth, a.worth) })
	return x.rank(ask[:min(len(ask), maxAsked)], n, false)
}

// Find returns the documents that a query names: each of its words may be the
// beginning of one, or misspelled when nothing begins so. Documents with more
// of the words come first. At most n.
func (x *Index) Find(query string, n int) []Hit {
	if len(query) > 1<<10 {
		query = query[:1<<10]
	}
	found := words(query)
	if len(found) == 0 { // "the" alone is all there is: look for it as a beginning
		for _, w := range strings.Fields(strings.ToLower(query)) {
			found = append(found, word{w, w})
		}
	}
	x.lockOrdered()
	defer x.mu.RUnlock()
	seen := map[string]bool{}
	var ask []asked
	for _, w := range found {
		if seen[w.term] || len(ask) == maxAsked {
			continue
		}
		seen[w.term] = true
		a := asked{shown: w.shown, by: x.beginning(w)}
		if len(a.by) == 0 {
			a.by = x.meant(w.term)
		}
		if len(a.by) == 0 && (strings.HasPrefix(w.term, "id:") || strings.HasPrefix(w.term, "is:")) {
			continue // its pieces are asked for as well
		}
		documents := 0
		for _, s := range a.by {
			documents += len(x.terms[s.term].in)
		}
		a.worth = x.rarity(min(documents, len(x.docs)))
		ask = append(ask, a)
	}
	return x.rank(ask, n, true)
}

// lockOrdered locks for reading, with the names of terms in order.
func (x *Index) lockOrdered() {
	for x.mu.RLock(); x.sorted == nil; x.mu.RLock() {
		x.mu.RUnlock()
		x.mu.Lock()
		x.sorted = make([]string, 0, len(x.byName))
		for name := range x.byName {
			x.sorted = append(x.sorted, name)
		}
		sort.Strings(x.sorted)
		x.mu.Unlock()
	}
}

// beginning returns the term itself and those that begin like the word.
func (x *Index) beginning(w word) []spelling {
	var out []spelling
	exact, known := x.byName[w.term]
	if known {
		out = append(out, spelling{exact, 1})
	}
	for _, prefix := range slices.Compact([]string{w.term, strings.ToLower(w.shown)}) {
		if len(prefix) < 2 {
			continue
		}
		var more []spelling
		at, _ := slices.BinarySearch(x.sorted, prefix)
		for ; at < len(x.sorted) && strings.HasPrefix(x.sorted[at], prefix); at++ {
			if t, still := x.byName[x.sorted[at]]; still && !(known && t == exact) {
				more = append(more, spelling{t, 0.6})
			}
		}
		slices.SortStableFunc(more, func(a, b spelling) int { return cmp.Compare(len(x.terms[b.term].in), len(x.terms[a.term].in)) })
		out = append(out, more[:min(len(more), maxPrefix)]...)
		if len(out) > 0 {
			break
		}
	}
	return out
}

// tally is what a document gathered.
type tally struct {
	score float64
	words int
	why   []reason
}

type reason struct {
	shown string
	worth float64
}

// rank adds up what each document has of what was asked. all: documents that
// lack some of it fall behind.
func (x *Index) rank(ask []asked, n int, all bool) []Hit {
	if n <= 0 || len(x.docs) == 0 {
		return nil
	}
	mean := x.weight / float64(len(x.docs))
	best := 0.0
	tallies := map[*document]*tally{}
	for _, a := range ask {
		best += a.worth * (k1 + 1)
		// Of several spellings in one document the best counts.
		got := map[*document]float64{}
		for _, s := range a.by {
			for _, p := range x.terms[s.term].in {
				often := float64(p.often)
				score := s.worth * a.worth * often * (k1 + 1) / (often + k1*(1-b+b*p.doc.length/max(mean, 1)))
				got[p.doc] = max(got[p.doc], score)
			}
		}
		for d, score := range got {
			t := tallies[d]
			if t == nil {
				t = &tally{}
				tallies[d] = t
			}
			t.score += score
			t.words++
			t.why = append(t.why, reason{a.shown, score})
		}
	}
	hits := make([]Hit, 0, len(tallies))
	byID := make(map[int64]*tally, len(tallies))
	for d, t := range tallies {
		score := t.score / best
		if all {
			part := float64(t.words) / float64(len(ask))
			score *= part * part
		}
		hits = append(hits, Hit{ID: d.id, Score: min(score, 1), Whole: t.words == len(ask)})
		byID[d.id] = t
	}
	hits = Merge(n, hits)
	for i := range hits {
		hits[i].Why = byID[hits[i].ID].reasons()
	}
	return hits
}

func (t *tally) reasons() []string {
	slices.SortStableFunc(t.why, func(a, b reason) int { return cmp.Compare(b.worth, a.worth) })
	var out []string
	for _, r := range t.why {
		if len(out) < maxWhy && !slices.ContainsFunc(out, func(s string) bool { return strings.EqualFold(s, r.shown) }) {
			out = append(out, r.shown)
		}
	}
	return out
}

// Merge joins hits of several indexes: the best n, the newer ID first among equals.
func Merge(n int, lists ...[]Hit) []Hit {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Hit) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.ID, a.ID)) })
	return slices.Clip(all[:min(len(all), n)])
}
