package mail

// maxBlanks is how many blanks are held back because a line may end after them.
const maxBlanks = 64 << 10

// quoted undoes quoted-printable (RFC 2045 §6.7), whatever it is handed the input in.
func (t *transferReader) quoted(b []byte) {
	for _, c := range b {
		if len(t.escape) > 0 && t.quotedEscape(c) {
			continue
		}
		switch c {
		case ' ', '\t', '\r':
			if len(t.pending) == maxBlanks {
				t.flushBlanks()
			}
			t.pending = append(t.pending, c)
		case '\n':
			if n := len(t.pending); n > 0 && t.pending[n-1] == '\r' {
				t.out = append(t.out, '\r')
			}
			t.out = append(t.out, '\n')
			t.pending = t.pending[:0]
		case '=':
			t.flushBlanks()
			t.escape = append(t.escape, '=')
		default:
			t.flushBlanks()
			t.out = append(t.out, c)
		}
	}
}

// quotedEscape is about the octet c after "=" or "=X"; false: it is still to be looked at.
func (t *transferReader) quotedEscape(c byte) bool {
	hex := unhex(c) >= 0 && len(t.pending) == 0
	switch {
	case len(t.escape) == 1 && hex:
		t.escape = append(t.escape, c)
		return true
	case len(t.escape) == 2 && hex:
		t.out = append(t.out, byte(unhex(t.escape[1])<<4|unhex(c)))
		t.escape = t.escape[:0]
		return true
	case len(t.escape) == 1 && (c == ' ' || c == '\t' || c == '\r') && len(t.pending) < maxBlanks:
		t.pending = append(t.pending, c)
		return true
	case len(t.escape) == 1 && c == '\n': // a soft line break
		t.escape, t.pending = t.escape[:0], t.pending[:0]
		return true
	}
	t.damaged = true
	t.out = append(t.out, t.escape...)
	t.escape = t.escape[:0]
	return false
}

func (t *transferReader) flushBlanks() {
	t.out = append(t.out, t.pending...)
	t.pending = t.pending[:0]
}

func (t *transferReader) quotedEnd() {
	if len(t.escape) == 2 {
		t.damaged = true
		t.out = append(t.out, t.escape...)
	}
}
