package desk

import (
	"bytes"
	"io"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	pages "postern/web/desk"
)

// Bounds of the keys that one page looks at; what is beyond them is a file like
// any other, and its key can be entered by hand.
const (
	maxOffered     = 10 // files a page, the newest ones
	maxOfferedSize = 64 << 10
	keyType        = "application/pgp-keys" // what work writes down for a public key it finds
)

// offered finds the public keys among what reporters sent, which are not the
// ones answers are encrypted to. They are shown and nothing else: a key in a
// message proves no more than the message.
func (d *Desk) offered(v *visit, c *disclosure.Case, view *pages.CaseView) {
	left := maxOffered
	for i := range view.Lanes {
		l := &view.Lanes[i]
		r := c.Reporter(disclosure.ReporterID(l.Lane.ID))
		if l.Lane.Kind != disclosure.LaneReporter || r == nil {
			continue
		}
		for n := len(l.Messages) - 1; n >= 0; n-- {
			m := &l.Messages[n]
			if m.State != disclosure.MessageIn {
				continue
			}
			for _, f := range m.CaseFiles {
				if f.Type != keyType || f.Size > maxOfferedSize || left == 0 {
					continue
				}
				left--
				var b bytes.Buffer
				if err := d.c.DB.OpenFile(v.Context(), v.by, f.ID, func(disclosure.File) (io.Writer, error) { return &b, nil }); err != nil {
					continue // the file is listed, and says on its own page what is wrong
				}
				m.Offered = append(m.Offered, d.offeredIn(b.Bytes(), r, v.by)...)
			}
		}
	}
}

func (d *Desk) offeredIn(file []byte, r *disclosure.Reporter, by disclosure.Caller) []pages.OfferedKey {
	certs, err := pgp.ParseCertificates(file)
	if err != nil {
		return nil
	}
	var list []pages.OfferedKey
	for _, cert := range certs {
		if len(list) == maxOffered || bytes.Equal(cert.Binary(), r.Key) {
			continue
		}
		k := pages.OfferedKey{Print: cert.Fingerprint(), UserIDs: cert.UserIDs(), Armored: string(cert.Armored()), Reporter: string(r.ID),
			Now: r.KeyPrint, HasKey: len(r.Key) > 0, CanTake: by.Can(disclosure.Triager)}
		if wrong := cert.CanEncrypt(d.c.DB.Now()); wrong != nil {
			k.Why = sentence(wrong)
		}
		list = append(list, k)
	}
	return list
}
