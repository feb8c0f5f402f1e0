package web_test

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func allPages() []page { return append(publicPages(), deskPages()...) }

func render(t *testing.T, p page) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.c.Render(context.Background(), &b); err != nil {
		t.Fatalf("render %s: %v", p.name, err)
	}
	return b.Bytes()
}

// TestPages renders every page in every sample state and looks for what must
// hold of each: names and labels that scripts and people rely on, and nothing
// inline that the content security policy would refuse.
func TestPages(t *testing.T) {
	for _, p := range allPages() {
		t.Run(p.name, func(t *testing.T) {
			doc, err := html.Parse(bytes.NewReader(render(t, p)))
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			checkPage(t, doc, strings.HasPrefix(p.name, "gate-"))
		})
	}
}

func checkPage(t *testing.T, doc *html.Node, public bool) {
	ids, labels, tags := map[string]int{}, map[string]bool{}, map[string]int{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		tags[n.Data]++
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
	}
	if tags["h1"] != 1 || tags["main"] != 1 || tags["title"] != 1 {
		t.Errorf("got %d h1, %d main, %d title, want one of each", tags["h1"], tags["main"], tags["title"])
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %q occurs %d times", id, n)
		}
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			checkElement(t, n, ids, labels, public)
		}
	}
}

// TestVisible: what turns text around is written out wherever a stranger's text
// is printed at the desk.
func TestVisible(t *testing.T) {
	for _, p := range deskPages() {
		if b := render(t, p); bytes.Contains(b, []byte("\u202e")) && p.name != "desk-notice-draft" { // there it is being edited
			t.Errorf("%s prints a right-to-left override as it stands", p.name)
		}
	}
}

func checkElement(t *testing.T, n *html.Node, ids map[string]int, labels map[string]bool, public bool) {
	for _, a := range n.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			t.Errorf("<%s> has an inline %s=%q", n.Data, a.Key, a.Val)
		}
		if a.Key == "aria-describedby" || a.Key == "aria-labelledby" {
			for _, id := range strings.Fields(a.Val) {
				if ids[id] == 0 {
					t.Errorf("<%s> %s names %q, which is not on the page", n.Data, a.Key, id)
				}
			}
		}
	}
	switch n.Data {
	case "html":
		if attr(n, "lang") == "" {
			t.Error("html has no lang")
		}
	case "script":
		if n.FirstChild != nil || !strings.HasPrefix(attr(n, "src"), "/static/") || attr(n, "integrity") == "" {
			t.Errorf("script src=%q is inline, from elsewhere, or without integrity", attr(n, "src"))
		}
		if !public && attr(n, "src") == "" {
			t.Error("desk page without a script's address")
		}
	case "style":
		t.Error("inline <style>")
	case "b":
		t.Error("hostile markup was not escaped")
	case "link":
		if attr(n, "rel") == "stylesheet" && attr(n, "integrity") == "" {
			t.Errorf("stylesheet %q without integrity", attr(n, "href"))
		}
	case "input", "select", "textarea":
		if attr(n, "type") == "hidden" || hidden(n) {
			return
		}
		if !labels[attr(n, "id")] && attr(n, "aria-label") == "" {
			t.Errorf("<%s name=%q id=%q> has no label", n.Data, attr(n, "name"), attr(n, "id"))
		}
		if attr(n, "autocomplete") == "" && attr(n, "type") != "file" {
			t.Errorf("<%s name=%q> leaves autocomplete to the browser", n.Data, attr(n, "name"))
		}
	case "form":
		if m := attr(n, "method"); m != "post" && m != "get" && m != "dialog" {
			t.Errorf("form %q has method %q", attr(n, "action"), m)
		}
	case "a":
		href, err := url.Parse(attr(n, "href"))
		if err != nil || href.Scheme == "javascript" || href.Scheme == "data" {
			t.Errorf("link %q", attr(n, "href"))
			return
		}
		if href.Path == "" && href.Scheme == "" && href.RawQuery == "" && href.Fragment != "" && ids[href.Fragment] == 0 {
			t.Errorf("link #%s leads nowhere", href.Fragment)
		}
	}
}

func hidden(n *html.Node) bool {
	for _, a := range n.Attr {
		if a.Key == "hidden" {
			return true
		}
	}
	return false
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
