package world

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Visitor is somebody without a browser's picture: pages are fetched, their
// forms filled in and sent as a browser without script would.
type Visitor struct {
	T      testing.TB
	Base   string
	Client *http.Client
}

// Page is what a visitor sees.
type Page struct {
	v      *Visitor
	URL    *url.URL
	Status int
	Header http.Header
	Body   []byte
	root   *html.Node
}

// Field is one thing typed or chosen.
type Field struct{ Name, Value string }

// File is one file chosen.
type File struct {
	Field, Name string
	Bytes       []byte
}

// Visit is a visitor of a door who has no cookies yet.
func (w *World) Visit(base string) *Visitor {
	jar, _ := cookiejar.New(nil) // never fails
	return &Visitor{T: w.T, Base: base, Client: &http.Client{Jar: jar}}
}

// SignedIn is a visitor of the desk who has signed in with password and code.
func (w *World) SignedIn(name string) *Visitor {
	w.T.Helper()
	v := w.Visit(w.DeskURL)
	p := v.Get("/sign-in").Submit("form-sign-in", []Field{{"name", w.Login(name)}, {"password", w.Pass(name)}, {"code", w.Code(name)}})
	if strings.HasPrefix(p.URL.Path, "/sign-in") {
		w.T.Fatalf("%s could not sign in: %s", name, p.Text())
	}
	return v
}

// Get fetches a page, following redirects.
func (v *Visitor) Get(path string) *Page {
	v.T.Helper()
	r, err := http.NewRequest(http.MethodGet, v.address(path), nil)
	if err != nil {
		v.T.Fatal(err)
	}
	return v.Do(r)
}

func (v *Visitor) address(path string) string {
	if strings.HasPrefix(path, "http") {
		return path
	}
	return v.Base + path
}

// Do sends a request.
func (v *Visitor) Do(r *http.Request) *Page {
	v.T.Helper()
	answer, err := v.Client.Do(r)
	if err != nil {
		v.T.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.T.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	p := &Page{v: v, URL: answer.Request.URL, Status: answer.StatusCode, Header: answer.Header, Body: b}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		if p.root, err = html.Parse(bytes.NewReader(b)); err != nil {
			v.T.Fatalf("%s is no HTML: %v", r.URL, err)
		}
	}
	return p
}

// OK fails the test unless the page is one.
func (p *Page) OK() *Page {
	p.v.T.Helper()
	if p.Status != http.StatusOK {
		p.v.T.Fatalf("%s: status %d, want 200: %s", p.URL, p.Status, p.Text())
	}
	return p
}

// Has fails the test unless the page's text holds all of these.
func (p *Page) Has(words ...string) *Page {
	p.v.T.Helper()
	text := p.Text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.v.T.Fatalf("%s: no %q in: %s", p.URL, w, text)
		}
	}
	return p
}

// Text is what a reader reads, white space collapsed.
func (p *Page) Text() string {
	if p.root == nil {
		return string(p.Body)
	}
	var b strings.Builder
	each(p.root, func(n *html.Node) {
		if n.Type == html.TextNode && (n.Parent == nil || n.Parent.Data != "script" && n.Parent.Data != "style") {
			b.WriteString(n.Data + " ")
		}
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// ByID finds an element; nil: there is none.
func (p *Page) ByID(id string) *html.Node {
	var found *html.Node
	if p.root != nil {
		each(p.root, func(n *html.Node) {
			if found == nil && n.Type == html.ElementNode && Attr(n, "id") == id {
				found = n
			}
		})
	}
	return found
}

// Links lists where the page's links lead.
func (p *Page) Links() []string {
	var list []string
	if p.root != nil {
		each(p.root, func(n *html.Node) {
			if n.Type == html.ElementNode && n.Data == "a" {
				list = append(list, Attr(n, "href"))
			}
		})
	}
	return list
}

// Link is the first one that begins so; the test fails without.
func (p *Page) Link(prefix string) string {
	p.v.T.Helper()
	for _, l := range p.Links() {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	p.v.T.Fatalf("%s: no link begins with %q: %q", p.URL, prefix, p.Links())
	return ""
}

// Attr is an attribute of an element; empty when it has none.
func Attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func each(n *html.Node, f func(*html.Node)) {
	f(n)
	for c := range n.ChildNodes() {
		each(c, f)
	}
}

// Submit fills in the form with the id and sends it, following the redirect.
func (p *Page) Submit(id string, fields []Field, files ...File) *Page {
	p.v.T.Helper()
	form := p.ByID(id)
	if form == nil {
		p.v.T.Fatalf("%s has no form %q: %s", p.URL, id, p.Text())
	}
	return p.submit(form, fields, files)
}

// SubmitTo is Submit for the first form whose action ends so.
func (p *Page) SubmitTo(action string, fields []Field, files ...File) *Page {
	p.v.T.Helper()
	var form *html.Node
	if p.root != nil {
		each(p.root, func(n *html.Node) {
			if form == nil && n.Data == "form" && strings.HasSuffix(Attr(n, "action"), action) {
				form = n
			}
		})
	}
	if form == nil {
		p.v.T.Fatalf("%s has no form to %q: %s", p.URL, action, p.Text())
	}
	return p.submit(form, fields, files)
}

func (p *Page) submit(form *html.Node, fields []Field, files []File) *Page {
	p.v.T.Helper()
	values, order := url.Values{}, []string(nil)
	add := func(name, value string) {
		if _, known := values[name]; !known {
			order = append(order, name)
		}
		values.Add(name, value)
	}
	each(form, func(n *html.Node) {
		name := Attr(n, "name")
		if n.Type != html.ElementNode || name == "" {
			return
		}
		switch n.Data {
		case "input":
			switch Attr(n, "type") {
			case "checkbox", "radio":
				if has(n, "checked") {
					add(name, Attr(n, "value"))
				}
			case "submit", "file", "button":
			default:
				add(name, Attr(n, "value"))
			}
		case "textarea":
			text := ""
			each(n, func(c *html.Node) {
				if c.Type == html.TextNode {
					text += c.Data
				}
			})
			add(name, text)
		case "select":
			chosen, first := "", true
			each(n, func(c *html.Node) {
				if c.Type == html.ElementNode && c.Data == "option" && (first || has(c, "selected")) {
					chosen, first = Attr(c, "value"), false
				}
			})
			add(name, chosen)
		}
	})
	replaced := map[string]bool{}
	for _, f := range fields {
		if !replaced[f.Name] {
			if _, known := values[f.Name]; !known {
				order = append(order, f.Name)
			}
			delete(values, f.Name)
			replaced[f.Name] = true
		}
		values.Add(f.Name, f.Value)
	}
	to, err := p.URL.Parse(Attr(form, "action"))
	if err != nil {
		p.v.T.Fatal(err)
	}
	body, kind := &bytes.Buffer{}, "application/x-www-form-urlencoded"
	if Attr(form, "enctype") == "multipart/form-data" {
		m := multipart.NewWriter(body)
		for _, name := range order {
			for _, x := range values[name] {
				if err := m.WriteField(name, x); err != nil {
					p.v.T.Fatal(err)
				}
			}
		}
		for _, f := range files {
			part, err := m.CreateFormFile(f.Field, f.Name)
			if err != nil {
				p.v.T.Fatal(err)
			}
			if _, err := part.Write(f.Bytes); err != nil {
				p.v.T.Fatal(err)
			}
		}
		m.Close()
		kind = m.FormDataContentType()
	} else {
		body.WriteString(values.Encode())
	}
	r, err := http.NewRequest(http.MethodPost, to.String(), body)
	if err != nil {
		p.v.T.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Origin", fmt.Sprintf("%s://%s", to.Scheme, to.Host))
	return p.v.Do(r)
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// Value is what stands in a form's control; empty when there is none.
func (p *Page) Value(form, name string) string {
	value := ""
	if f := p.ByID(form); f != nil {
		each(f, func(n *html.Node) {
			if n.Type == html.ElementNode && Attr(n, "name") == name {
				value = Attr(n, "value")
			}
		})
	}
	return value
}

// LinkTexts are the page's links with their words.
func (p *Page) LinkTexts() map[string]string {
	list := map[string]string{}
	if p.root != nil {
		each(p.root, func(n *html.Node) {
			if n.Type == html.ElementNode && n.Data == "a" {
				var b strings.Builder
				each(n, func(c *html.Node) {
					if c.Type == html.TextNode {
						b.WriteString(c.Data)
					}
				})
				list[Attr(n, "href")] = b.String()
			}
		})
	}
	return list
}
