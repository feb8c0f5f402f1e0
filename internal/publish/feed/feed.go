// Package feed writes the public advisories as an Atom feed (RFC 4287).
package feed

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"time"

	"postern/internal/disclosure"
)

// Type is the feed's media type.
const Type = "application/atom+xml; charset=utf-8"

// Entries is how many of the newest advisories the feed carries.
const Entries = 50

type link struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type text struct {
	Type string `xml:"type,attr,omitempty"`
	Body string `xml:",chardata"`
}

type entry struct {
	ID        string `xml:"id"`
	Title     text   `xml:"title"`
	Updated   string `xml:"updated"`
	Published string `xml:"published"`
	Link      link   `xml:"link"`
	Summary   text   `xml:"summary"`
}

type atom struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"id"`
	Title   text     `xml:"title"`
	Updated string   `xml:"updated"`
	Links   []link   `xml:"link"`
	Author  struct {
		Name string `xml:"name"`
	} `xml:"author"`
	Entries []entry `xml:"entry"`
}

// Write renders the feed. Its updated time is that of the newest advisory, so
// that it changes with what is public and with nothing else. baseURL has no
// trailing slash; ids are tag URIs (RFC 4151) that survive a move of the site.
func Write(baseURL string, p *disclosure.Policy, all []disclosure.Advisory) ([]byte, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("read the site's address: %w", err)
	}
	host := u.Hostname()
	tag := func(day time.Time, rest string) string {
		return "tag:" + host + "," + day.UTC().Format("2006-01-02") + ":" + rest
	}
	epoch := time.Unix(0, 0)
	f := atom{
		ID:      tag(epoch, "advisories"),
		Title:   text{Body: p.Project.Name + " security advisories"},
		Updated: stamp(epoch),
		Links: []link{
			{Rel: "self", Type: "application/atom+xml", Href: baseURL + "/feed.atom"},
			{Rel: "alternate", Type: "text/html", Href: baseURL + "/advisories"},
		},
	}
	f.Author.Name = p.Project.Name
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b disclosure.Advisory) int { return b.Updated.Compare(a.Updated) })
	if len(sorted) > 0 {
		f.Updated = stamp(sorted[0].Updated)
	}
	for _, a := range sorted[:min(len(sorted), Entries)] {
		title := a.Issue.Text.Title
		if a.Issue.CVE != "" {
			title = a.Issue.CVE + ": " + title
		}
		if !a.Withdrawn.IsZero() {
			title = "Withdrawn: " + title
		}
		summary := a.Issue.Text.Summary
		if summary == "" {
			summary = a.Issue.Text.Title
		}
		f.Entries = append(f.Entries, entry{
			ID:        tag(a.Published, "advisories/"+a.Name),
			Title:     text{Body: title},
			Updated:   stamp(a.Updated),
			Published: stamp(a.Published),
			Link:      link{Rel: "alternate", Type: "text/html", Href: baseURL + "/advisories/" + url.PathEscape(a.Name)},
			Summary:   text{Body: summary},
		})
	}
	out, err := xml.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the feed: %w", err)
	}
	return append([]byte(xml.Header), append(out, '\n')...), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
