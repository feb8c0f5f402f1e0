package mail

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText is what is left of HTML when it is taken for text: no style, no script, nothing
// remote. Where a link points is written beside what it says, so that one cannot pose as another.
func htmlText(source string) string {
	z := html.NewTokenizer(strings.NewReader(source))
	t := &htmlWriter{}
	for {
		switch z.Next() {
		case html.ErrorToken:
			return t.String()
		case html.TextToken:
			t.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			t.open(token)
		case html.EndTagToken:
			name, _ := z.TagName()
			t.close(atom.Lookup(name))
		}
	}
}

type htmlWriter struct {
	out   strings.Builder
	mute  atom.Atom // the element whose text is not shown
	pre   int
	href  string
	start int  // of the link's text in out
	blank bool // a blank is due before the next word
}

func (t *htmlWriter) String() string { return strings.TrimSpace(t.out.String()) + "\n" }

func (t *htmlWriter) text(s string) {
	if t.mute != 0 {
		return
	}
	if t.pre > 0 {
		t.out.WriteString(s)
		return
	}
	for _, r := range s {
		switch r {
		case ' ', '\t', '\r', '\n':
			t.blank = true
			continue
		}
		if t.blank && !t.atLineStart() {
			t.out.WriteByte(' ')
		}
		t.blank = false
		t.out.WriteRune(r)
	}
}

func (t *htmlWriter) atLineStart() bool {
	s := t.out.String()
	return s == "" || s[len(s)-1] == '\n'
}

// line ends the current line; two of them leave one empty line.
func (t *htmlWriter) line() {
	t.blank = false
	if s := t.out.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		t.out.WriteByte('\n')
	}
}

func (t *htmlWriter) open(token html.Token) {
	switch token.DataAtom {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Noscript, atom.Iframe, atom.Object, atom.Svg:
		if t.mute == 0 && token.Type == html.StartTagToken {
			t.mute = token.DataAtom
		}
		return
	case atom.Body:
		t.mute = 0 // a head nobody closed
	}
	if t.mute != 0 {
		return
	}
	switch token.DataAtom {
	case atom.Br:
		t.blank = false
		t.out.WriteByte('\n')
	case atom.Pre, atom.Textarea:
		t.newLine()
		if token.Type == html.StartTagToken {
			t.pre++
		}
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table, atom.Blockquote:
		t.newLine()
		t.line()
	case atom.Div, atom.Tr, atom.Hr, atom.Section, atom.Article, atom.Dt, atom.Dd, atom.Header, atom.Footer:
		t.newLine()
	case atom.Li:
		t.newLine()
		t.out.WriteString("- ")
	case atom.Td, atom.Th:
		t.blank = true
	case atom.Img:
		if alt := attribute(token, "alt"); alt != "" {
			t.text(" [" + alt + "] ")
		}
	case atom.A:
		t.href, t.start = attribute(token, "href"), t.out.Len()
	}
}

func (t *htmlWriter) newLine() {
	t.blank = false
	if !t.atLineStart() {
		t.out.WriteByte('\n')
	}
}

func (t *htmlWriter) close(a atom.Atom) {
	if t.mute != 0 {
		if a == t.mute {
			t.mute = 0
		}
		return
	}
	switch a {
	case atom.Pre, atom.Textarea:
		if t.pre > 0 {
			t.pre--
		}
		t.newLine()
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table, atom.Blockquote:
		t.newLine()
		t.line()
	case atom.Div, atom.Tr, atom.Li:
		t.newLine()
	case atom.A:
		t.endLink()
	}
}

func (t *htmlWriter) endLink() {
	href := t.href
	t.href = ""
	if href == "" || len(href) > 2000 || t.start > t.out.Len() {
		return
	}
	said := strings.TrimSpace(t.out.String()[t.start:])
	lower := strings.ToLower(strings.TrimSpace(href))
	if !strings.HasPrefix(lower, "http:") && !strings.HasPrefix(lower, "https:") && !strings.HasPrefix(lower, "mailto:") {
		return
	}
	if said == href || "mailto:"+said == href {
		return
	}
	t.text(" <" + href + ">")
}

func attribute(token html.Token, key string) string {
	for _, a := range token.Attr {
		if a.Key == key {
			return strings.Join(strings.Fields(a.Val), " ")
		}
	}
	return ""
}
