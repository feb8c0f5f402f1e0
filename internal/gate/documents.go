package gate

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"postern/internal/disclosure"
	"postern/web/public"
	"postern/web/ui"
)

// documents registers where finished documents are served. A document whose
// path no route names is served by nobody.
func (g *Gate) documents() {
	serve := func(w http.ResponseWriter, r *http.Request) error { return g.document(w, r, r.URL.Path) }
	for _, path := range []string{
		public.PathHome, public.PathUpcoming, public.PathAdvisories, public.PathFeed, public.PathKey,
		"/.well-known/security.txt",
	} {
		g.server.Page(path, serve)
	}
	g.server.Page(public.PathAdvisories+"/{name}", func(w http.ResponseWriter, r *http.Request) error {
		return g.document(w, r, public.PathAdvisories+"/"+chi.URLParam(r, "name"))
	})
	g.server.Page(ui.StaticPrefix+"*", serve)
}

// document answers from memory, so that what is public stays so while the
// database is away. All of a set's answers come from one edition.
func (g *Gate) document(w http.ResponseWriter, r *http.Request, path string) error {
	s, err := g.current()
	if err != nil {
		return err
	}
	d := s.edition.Documents[path]
	if d == nil {
		return disclosure.ErrNotFound
	}
	h := w.Header()
	h.Set("Content-Type", d.Type)
	h.Set("Last-Modified", d.Modified.UTC().Format(http.TimeFormat))
	h.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(path, ui.StaticPrefix) && r.URL.Query().Get("v") != "" {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "public, no-cache") // asked for again each time, answered by 304
	}
	body, etag := d.Bytes, d.ETag
	if d.Gzip != nil && acceptsGzip(r) {
		body, etag = d.Gzip, strings.TrimSuffix(d.ETag, `"`)+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	return nil
}

func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.ReplaceAll(q, " ", "") != "q=0"
		}
	}
	return false
}

func matches(header, etag string) bool {
	for _, part := range strings.Split(header, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == etag || part == "*" {
			return true
		}
	}
	return false
}
