package gate

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"time"

	"postern/internal/disclosure"
	"postern/internal/server"
	"postern/web/public"
	"postern/web/ui"
)

// lookWait is how long a look-up waits for its turn.
const lookWait = 10 * time.Second

// readItem reads one item, with or without the bytes of its files. Their sizes
// are there either way.
func readItem(b []byte, whole bool) (disclosure.MailboxItem, error) {
	var it disclosure.MailboxItem
	if whole {
		err := json.Unmarshal(b, &it)
		return it, err
	}
	lean := struct {
		*disclosure.MailboxItem
		Files []struct {
			disclosure.MailboxFile
			Bytes encodedSize `json:"bytes"`
		} `json:"files"`
	}{MailboxItem: &it}
	if err := json.Unmarshal(b, &lean); err != nil {
		return it, err
	}
	for _, f := range lean.Files {
		if f.Bytes > 0 {
			f.Size = int64(f.Bytes)
		}
		it.Files = append(it.Files, f.MailboxFile)
	}
	return it, nil
}

// encodedSize is how many bytes a base64 string of JSON stands for.
type encodedSize int64

func (n *encodedSize) UnmarshalJSON(b []byte) error {
	b = bytes.TrimRight(bytes.Trim(b, `"`), "=")
	if string(b) != "null" {
		*n = encodedSize(len(b) * 3 / 4)
	}
	return nil
}

// fill turns items into what the page shows. The last status counts.
func fill(v *public.MailboxView, items []disclosure.MailboxItem) {
	v.Found = len(items) > 0
	for _, it := range items {
		m := public.MailboxItem{ID: it.ID, At: it.At, Size: it.Size, Digest: it.SHA256, Files: len(it.Files)}
		for _, f := range it.Files {
			m.FileList = append(m.FileList, public.MailboxFile{Name: disclosure.CleanLabel(f.Name), Size: f.Size, Digest: f.SHA256})
		}
		switch it.Kind {
		case disclosure.ItemStatus:
			v.Status = disclosure.StatusWords(it.Status)
			if it.Text != "" {
				v.Status = it.Text
			}
			v.Planned, v.OwnKey, v.Withdrawn = it.Planned, it.OwnKey, it.Withdrawn
			v.Credit = disclosure.Credit{Wish: it.Credit, Text: it.CreditText}
		case disclosure.ItemReply:
			m.Ours, m.Text = true, it.Text
			v.Items = append(v.Items, m)
		case disclosure.ItemReceipt:
			m.Ours, m.Receipt, m.Text = true, true, it.Text
			v.Items = append(v.Items, m)
		case disclosure.ItemOwn:
			v.Items = append(v.Items, m)
		}
	}
}

// sendFile answers with one file of a reply, for whoever holds the code. It is
// never shown: always an attachment of no particular type.
func sendFile(w http.ResponseWriter, q *mailboxRequest, items []disclosure.MailboxItem) error {
	n, err := strconv.Atoi(q.values[public.FieldFile])
	if err != nil {
		return disclosure.ErrNotFound
	}
	for _, it := range items {
		if it.ID != q.values[public.FieldItem] || it.Kind != disclosure.ItemReply || n < 0 || n >= len(it.Files) {
			continue
		}
		f := it.Files[n]
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": disclosure.CleanLabel(f.Name)}))
		h.Set("Content-Length", strconv.Itoa(len(f.Bytes)))
		_, _ = w.Write(f.Bytes)
		return nil
	}
	return disclosure.ErrNotFound
}

// makeMailbox follows an invitation: the code is made now and shown once. The
// gate cannot tell whether the token is good; work attaches the mailbox to the
// lane it was made for, or to none.
func (g *Gate) makeMailbox(w http.ResponseWriter, r *http.Request, s *set, q *mailboxRequest) error {
	v := public.MailboxInviteView{Gate: g.frame(ui.NavMailbox), Token: q.values[public.FieldInvite], Idempotency: q.key()}
	if v.Token == "" || len(v.Token) > 100 {
		return disclosure.ErrNotFound
	}
	in, err := g.begin(r.Context(), s, disclosure.ArrivalMessage, disclosure.ByMailbox)
	if err != nil {
		return err
	}
	defer in.close()
	in.header.Answers = []disclosure.Answer{{Ask: disclosure.AnswerInvite, Text: v.Token}}
	got, err := in.store(r.Context(), v.Idempotency, nil, hexSum([]byte(v.Token)))
	if err != nil {
		g.c.Log.Warn("a mailbox was not made", "request", server.RequestID(r.Context()), "error", err)
		v.NotStored = true
		return server.Render(w, r, http.StatusServiceUnavailable, public.MailboxInvite(v))
	}
	v.Code = got.Code.Words()
	return server.Render(w, r, http.StatusCreated, public.MailboxInvite(v))
}
