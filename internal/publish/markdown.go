package publish

import (
	"bytes"
	"fmt"
	"regexp"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"postern/web/ui"
)

var converter = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify))

// sanitizer lets through what an advisory needs and nothing that fetches,
// runs, or dresses up as something else.
var sanitizer = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "ul", "ol", "li", "pre", "code", "blockquote", "em", "strong", "del",
		"h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("https", "http", "mailto")
	p.RequireParseableURLs(true)
	p.RequireNoReferrerOnLinks(true)
	p.RequireNoFollowOnLinks(true)
	return p
})

var headings = regexp.MustCompile(`(</?h)([1-6])>`)

// Markdown renders text for an advisory's page. Raw HTML in it is left out,
// links lead to https, http and mailto alone, nothing is fetched, and headings
// begin at h3, below the page's own.
func Markdown(text string) (ui.SafeHTML, error) {
	if text == "" {
		return "", nil
	}
	var b bytes.Buffer
	if err := converter.Convert([]byte(text), &b); err != nil {
		return "", fmt.Errorf("read the Markdown: %w", err)
	}
	out := headings.ReplaceAllFunc(b.Bytes(), func(h []byte) []byte {
		n := h[len(h)-2] + 2
		if n > '6' {
			n = '6'
		}
		return append(append(bytes.Clone(h[:len(h)-2]), n), '>')
	})
	return ui.SafeHTML(sanitizer().SanitizeBytes(out)), nil
}
