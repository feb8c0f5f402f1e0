package publish

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	markdown "github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"

	"postern/web/ui"
)

var converter = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
	goldmark.WithRendererOptions(markdown.WithNodeRenderers(util.Prioritized(asText{}, 100))))

// asText shows what the page must not hold as what it is: an advisory about
// markup says markup. Raw HTML, pictures, and links to anywhere but the web
// and mail stand there as text.
type asText struct{}

// RegisterFuncs says of which nodes.
func (t asText) RegisterFuncs(r markdown.NodeRendererFuncRegisterer) {
	r.Register(ast.KindRawHTML, t.inline)
	r.Register(ast.KindHTMLBlock, t.block)
	r.Register(ast.KindImage, t.image)
	r.Register(ast.KindLink, t.link)
}

func (asText) inline(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		raw := n.(*ast.RawHTML)
		for i := range raw.Segments.Len() {
			segment := raw.Segments.At(i)
			_, _ = w.Write(util.EscapeHTML(segment.Value(source)))
		}
	}
	return ast.WalkSkipChildren, nil
}

func (asText) block(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := n.(*ast.HTMLBlock)
	var b bytes.Buffer
	for i := range block.Lines().Len() {
		line := block.Lines().At(i)
		b.Write(line.Value(source))
	}
	if block.HasClosure() {
		b.Write(block.ClosureLine.Value(source))
	}
	text := bytes.TrimRight(b.Bytes(), "\n")
	if bytes.Contains(text, []byte("\n")) {
		fmt.Fprintf(w, "<pre>%s</pre>\n", util.EscapeHTML(text))
	} else {
		fmt.Fprintf(w, "<p>%s</p>\n", util.EscapeHTML(text))
	}
	return ast.WalkContinue, nil
}

func (asText) image(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	image := n.(*ast.Image)
	if entering {
		_, _ = w.WriteString("![")
	} else {
		fmt.Fprintf(w, "](%s)", util.EscapeHTML(image.Destination))
	}
	return ast.WalkContinue, nil
}

func (asText) link(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	link := n.(*ast.Link)
	switch leads := leadsOut(string(link.Destination)); {
	case leads && entering:
		fmt.Fprintf(w, `<a href="%s">`, util.EscapeHTML(util.URLEscape(link.Destination, true)))
	case leads:
		_, _ = w.WriteString("</a>")
	case entering:
		_, _ = w.WriteString("[")
	default:
		fmt.Fprintf(w, "](%s)", util.EscapeHTML(link.Destination))
	}
	return ast.WalkContinue, nil
}

// leadsOut reports whether the sanitizer lets a link lead there.
func leadsOut(to string) bool {
	u, err := url.Parse(to)
	if err != nil {
		return false
	}
	scheme := strings.ToLower(u.Scheme)
	return scheme == "https" || scheme == "http" || scheme == "mailto"
}

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

// Markdown renders text for an advisory's page. Raw HTML in it is shown as
// text and never left out, links lead to https, http and mailto alone (others
// are shown as they were written), nothing is fetched, and headings begin at
// h3, below the page's own.
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
