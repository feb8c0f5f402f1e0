package desk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"postern/internal/disclosure"
	pages "postern/web/desk"
	"postern/web/ui"
)

// maxShown is how much of a text file a page shows.
const maxShown = 256 << 10

func (d *Desk) fileRoutes() {
	at := pages.PathCasePattern
	d.page(at+"/files/{file}", team, d.fileShow)
	d.page(at+"/files/{file}/download", team, d.fileDownload)
	d.page(at+"/originals/{arrival}", team, d.original)
}

// theFile finds a file among those of the case of the path.
func (d *Desk) theFile(v *visit) (*disclosure.Case, disclosure.File, error) {
	c, err := d.theCase(v)
	if err != nil {
		return nil, disclosure.File{}, err
	}
	for _, f := range c.Files {
		if string(f.ID) == v.PathValue("file") {
			return c, f, nil
		}
	}
	return nil, disclosure.File{}, disclosure.ErrNotFound
}

var errEnough = errors.New("enough was read")

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if h.Len()+len(p) > maxShown {
		return 0, errEnough
	}
	return h.Buffer.Write(p)
}

// fileShow shows text and patches, escaped; everything else is only offered.
func (d *Desk) fileShow(v *visit) error {
	c, f, err := d.theFile(v)
	if err != nil {
		return err
	}
	view := pages.CaseFileView{Desk: d.frame(v, ui.NavInbox), Number: c.Number, Title: c.Title, File: f}
	var b head
	if f.Size <= maxShown {
		err = d.c.DB.OpenFile(v.Context(), v.by, f.ID, func(disclosure.File) (io.Writer, error) { return &b, nil })
	}
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if f.Size > maxShown || err != nil || !utf8.Valid(b.Bytes()) || bytes.IndexByte(b.Bytes(), 0) >= 0 {
		view.TooBig = true
	} else {
		view.Text = b.String()
	}
	return v.render(pages.CaseFile(view))
}

// attachment makes sure that a browser saves the answer and opens nothing.
func attachment(w http.ResponseWriter, name string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

// fileDownload streams the file from its sealed chunks to the reader.
func (d *Desk) fileDownload(v *visit) error {
	_, f, err := d.theFile(v)
	if err != nil {
		return err
	}
	return d.c.DB.OpenFile(v.Context(), v.by, f.ID, func(f disclosure.File) (io.Writer, error) {
		attachment(v.w, disclosure.CleanLabel(f.Label))
		v.w.Header().Set("Content-Length", fmt.Sprint(f.Size))
		return body(v), nil
	})
}

// body is where a download is written; a HEAD gets the headers alone.
func body(v *visit) io.Writer {
	if v.Method == http.MethodHead {
		return io.Discard
	}
	return v.w
}

// original sends an arrival exactly as it was received.
func (d *Desk) original(v *visit) error {
	c, err := d.theCase(v)
	if err != nil {
		return err
	}
	id := disclosure.ArrivalID(v.PathValue("arrival"))
	thread, err := d.c.DB.Thread(v.Context(), v.by, c.ID)
	if err != nil {
		return err
	}
	known := false
	for _, m := range thread {
		known = known || m.Arrival == id
	}
	for _, r := range c.Reporters {
		known = known || r.Arrival == id
	}
	if !known {
		return disclosure.ErrNotFound
	}
	attachment(v.w, strings.ToLower(fmt.Sprintf("case-%d-%.8s.original", c.Number, id)))
	return d.c.DB.Original(v.Context(), v.by, id, body(v))
}
