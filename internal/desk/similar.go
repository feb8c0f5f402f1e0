package desk

import (
	"context"
	"slices"
	"strings"
	"sync"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/search"
	"postern/internal/vault"
)

// likely finds cases that may be the same as another. What everybody may see
// stands in one index; restricted cases are looked through for each caller
// anew, and only those this caller may see. Nothing of it outlives an unlocked
// vault.
type likely struct {
	mu     sync.Mutex
	index  *search.Index
	people *search.Index // names of reporters and ids, which make no case like another
	titles map[int64]string
	known  map[disclosure.CaseID]postgres.OpenCase // in the index, as it was then
	watch  <-chan struct{}
}

const (
	likelyShown = 3
	// leastLikely is how much of a text has to be in another one to be shown.
	leastLikely = 0.2
	// textsAtOnce is how many cases are opened in one transaction.
	textsAtOnce = 200
)

// similar finds open cases like c, the likeliest first, and their titles.
func (d *Desk) similar(ctx context.Context, by disclosure.Caller, c *disclosure.Case) ([]search.Hit, map[int64]string, error) {
	open, err := d.c.DB.OpenCases(ctx, by)
	if err != nil {
		return nil, nil, err
	}
	// Its own text, and that of restricted cases, which are in no shared index.
	ids := []disclosure.CaseID{c.ID}
	visible := map[int64]bool{}
	for _, o := range open {
		visible[int64(o.Number)] = true
		if o.Restricted && o.ID != c.ID {
			ids = append(ids, o.ID)
		}
	}
	private, query, titles := search.New(), "", map[int64]string{}
	for some := range slices.Chunk(ids, textsAtOnce) {
		texts, err := d.c.DB.CaseTexts(ctx, by, c.ID, some)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range texts {
			titles[int64(t.Number)] = t.Title
			if t.Number == c.Number {
				query = t.Title + "\n" + t.Text
			}
		}
		add(private, slices.DeleteFunc(texts, func(t postgres.CaseText) bool { return t.Number == c.Number }))
	}
	if query == "" {
		return nil, nil, nil
	}
	var shared []search.Hit
	err = d.likely.ask(ctx, d.c.DB, func(l *likely) {
		shared = l.index.Similar(query, likelyShown*2)
		for _, h := range shared {
			titles[h.ID] = l.titles[h.ID]
		}
	})
	if err != nil {
		return nil, nil, err
	}
	var hits []search.Hit
	for _, h := range search.Merge(likelyShown*3, shared, private.Similar(query, likelyShown+1)) {
		if visible[h.ID] && h.ID != int64(c.Number) && h.Score >= leastLikely && len(h.Why) >= sharedWords(query) && len(hits) < likelyShown {
			hits = append(hits, h)
		}
	}
	return hits, titles, nil
}

// sharedWords is how many words two cases have to share to be offered as the
// same: a few common ones say nothing, unless there are few at all.
func sharedWords(text string) int {
	if len(strings.Fields(text)) < 12 {
		return 2
	}
	return 4
}

// found tells for each word in which open cases it stands that are not
// restricted: in what was written from outside, in a reporter's name, or as the
// CVE id.
func (d *Desk) found(ctx context.Context, words []string) (map[string]map[int]bool, error) {
	all := map[string]map[int]bool{}
	if len(words) == 0 {
		return nil, nil
	}
	err := d.likely.ask(ctx, d.c.DB, func(l *likely) {
		for _, w := range words {
			in := map[int]bool{}
			for _, h := range slices.Concat(l.index.Find(w, mostFound), l.people.Find(w, mostFound)) {
				if h.Whole {
					in[int(h.ID)] = true
				}
			}
			all[w] = in
		}
	})
	return all, err
}

// mostFound bounds the cases one word is found in.
const mostFound = 2000

func add(x *search.Index, texts []postgres.CaseText) {
	docs := make([]search.Document, len(texts))
	for i, t := range texts {
		docs[i] = search.Document{ID: int64(t.Number), Title: t.Title, Text: t.Text}
	}
	x.Add(docs...)
}

// ask brings what everybody may see up to date, and has f look into it.
func (l *likely) ask(ctx context.Context, db *postgres.DB, f func(*likely)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := db.Vault()
	if v == nil || !v.Unlocked() {
		return vault.ErrLocked
	}
	if l.index == nil {
		l.index, l.people, l.titles, l.known = search.New(), search.New(), map[int64]string{}, map[disclosure.CaseID]postgres.OpenCase{}
	}
	if l.watch == nil {
		l.watch = v.Watch()
		go l.forget(l.watch)
	}
	reader := disclosure.System("search")
	open, err := db.OpenCases(ctx, reader)
	if err != nil {
		return err
	}
	now := map[disclosure.CaseID]postgres.OpenCase{}
	var changed []disclosure.CaseID
	for _, o := range open {
		if o.Restricted {
			continue
		}
		now[o.ID] = o
		if l.known[o.ID] != o {
			changed = append(changed, o.ID)
		}
	}
	for id, o := range l.known {
		if now[id] != o {
			l.index.Remove(int64(o.Number))
			l.people.Remove(int64(o.Number))
			delete(l.titles, int64(o.Number))
			delete(l.known, id)
		}
	}
	for at := 0; at < len(changed); at += textsAtOnce {
		some := changed[at:min(at+textsAtOnce, len(changed))]
		texts, err := db.CaseTexts(ctx, reader, "", some)
		if err != nil {
			return err
		}
		add(l.index, texts)
		for _, t := range texts {
			l.titles[int64(t.Number)] = t.Title
			l.people.Add(search.Document{ID: int64(t.Number), Text: t.People})
		}
		for _, id := range some {
			l.known[id] = now[id]
		}
	}
	f(l)
	return nil
}

// forget empties the index once the vault changes: most often it was locked.
func (l *likely) forget(changed <-chan struct{}) {
	<-changed
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index != nil {
		l.index.Clear()
		l.people.Clear()
	}
	l.index, l.people, l.titles, l.known, l.watch = nil, nil, nil, nil, nil
}
