package search

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Bounds of one document and one query.
const (
	maxText  = 32 << 10 // bytes of a text that count; the rest is not looked at
	maxWord  = 48       // bytes of a word; longer runs are keys or dumps, not words
	maxPiece = 12       // pieces of one identifier
)

// word is one thing to look for: as it is looked up, and as it was written.
type word struct{ term, shown string }

// words cuts a text into what is looked up: stems of words, identifiers whole
// and in pieces (is_safe_url, HttpResponse, django.utils.http), CVE, CWE and
// GHSA ids, version numbers, and names of the field's concepts ("denial of
// service" and "DoS" give the same). Stop words are left out.
func words(text string) []word {
	text = head(text)
	var c cutter
	for len(text) > 0 {
		start := strings.IndexFunc(text, isWordRune)
		if start < 0 {
			break
		}
		text = text[start:]
		end := runEnd(text)
		c.run(strings.TrimRight(text[:end], ".-:/_"))
		text = text[end:]
	}
	return c.found
}

// head is what counts of a text, cut at a rune.
func head(text string) string {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// runEnd is where a run of letters, digits and the signs inside identifiers ends.
func runEnd(text string) int {
	for i, r := range text {
		if !isWordRune(r) && r != '_' && r != '.' && r != '-' && r != ':' && r != '/' {
			return i
		}
	}
	return len(text)
}

type cutter struct {
	found []word
	last  [2]string // the two stems before, for phrases
}

func (c *cutter) run(run string) {
	if len(run) > 6*maxWord {
		return
	}
	if len(run) <= maxWord && plainASCII(run) {
		c.plain(run)
		return
	}
	if id := knownID(run); id != "" {
		c.add(id, run)
		return
	}
	if isVersion(run) {
		c.add("v"+strings.TrimLeft(run, "vV"), run)
		return
	}
	// Paths and prose joined by slashes, colons and hyphens are taken apart;
	// dots and underscores hold a name together.
	for _, name := range strings.FieldsFunc(run, func(r rune) bool { return r == '/' || r == ':' || r == '-' }) {
		c.name(strings.Trim(name, "._"))
	}
}

// name takes a word or an identifier.
func (c *cutter) name(name string) {
	var pieces []string
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' }) {
		pieces = append(pieces, camel(part)...)
	}
	if len(pieces) > maxPiece {
		pieces = pieces[:maxPiece]
	}
	if len(pieces) > 1 && len(name) <= 2*maxWord {
		c.add("id:"+strings.ToLower(strings.Join(pieces, "_")), name)
	}
	for _, p := range pieces {
		if len(p) <= maxWord {
			c.plain(p)
		}
	}
}

// plain takes one word.
func (c *cutter) plain(w string) {
	lower := strings.ToLower(w)
	if stop[lower] || len(lower) < 2 {
		return
	}
	s := stem(lower)
	c.add(s, w)
	names := concepts()
	for _, phrase := range []string{s, c.last[1] + " " + s, c.last[0] + " " + c.last[1] + " " + s} {
		if name := names[phrase]; name != "" {
			c.add("is:"+name, w)
		}
	}
	c.last = [2]string{c.last[1], s}
}

func (c *cutter) add(term, shown string) { c.found = append(c.found, word{term, shown}) }

// knownID gives CVE-2024-1234, CWE-79 and GHSA-xxxx-xxxx-xxxx in lower case.
func knownID(run string) string {
	lower := strings.ToLower(run)
	for _, prefix := range []string{"cve-", "cwe-", "ghsa-", "pysec-", "osv-"} {
		if rest, ok := strings.CutPrefix(lower, prefix); ok && len(rest) > 1 && len(rest) < 20 {
			return lower
		}
	}
	return ""
}

// isVersion tells 4.2.1, v1.0 and 5.0rc1 from words; a bare number is none.
func isVersion(run string) bool {
	run = strings.TrimLeft(run, "vV")
	if run == "" || run[0] < '0' || run[0] > '9' || len(run) > 24 {
		return false
	}
	dots := 0
	for _, r := range run {
		switch {
		case r == '.':
			dots++
		case !isWordRune(r):
			return false
		}
	}
	return dots > 0
}

// camel cuts HTTPResponseBase into HTTP, Response, Base.
func camel(s string) []string {
	runes := []rune(s)
	var out []string
	from := 0
	for i := 1; i < len(runes); i++ {
		before, here := runes[i-1], runes[i]
		up := unicode.IsUpper(here) && (unicode.IsLower(before) || unicode.IsDigit(before))
		// The last capital of a run begins the next word; "URLs" is one word.
		acronym := unicode.IsUpper(before) && unicode.IsUpper(here) && i+2 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsLower(runes[i+2])
		if (up || acronym) && i-from > 1 {
			out = append(out, string(runes[from:i]))
			from = i
		}
	}
	if len(out) > 0 && len(runes)-from == 1 {
		return []string{s} // DoS, IPv4Z: no word has one letter
	}
	return append(out, string(runes[from:]))
}

// stop is words that say nothing about a report.
var stop = set(`a about above after again all also am an and any are as at be because been before being below between both but by can
could did do does doing down during each few for from further had has have having he her here hers him his how i if in into is it its
just may me might more most must my no nor not now of off on once only or other our out over own same shall she should so some such than that the
their them then there these they this those through to too under until up upon us very via was we were what when where which while who whom
whose why will with within without would you your`)

func set(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// fieldNames is what the field calls the same thing by several names: the
// usual short forms and their long ones, one concept a line.
const fieldNames = `xss: cross site scripting; script injection; html injection
csrf: cross site request forgery; xsrf; request forgery
dos: denial of service; ddos; resource exhaustion; resource consumption; memory exhaustion; cpu exhaustion; hang
redos: regular expression denial; catastrophic backtracking; quadratic backtracking
sqli: sql injection
rce: remote code execution; arbitrary code execution; code execution; execute arbitrary code; command injection
ssrf: server side request forgery
xxe: xml external entity; external entity
traversal: directory traversal; path traversal; dot dot
redirect: open redirect; unvalidated redirect
disclosure: information disclosure; information leak; data leak; information exposure; data exposure
splitting: header injection; response splitting; crlf injection
idor: insecure direct object reference
privesc: privilege escalation; elevation of privilege
overflow: buffer overflow; stack overflow; heap overflow
uaf: use after free
oob: out of bounds; out of bound read; out of bound write
mitm: man in the middle
toctou: race condition; time of check
deserialization: insecure deserialization; unsafe deserialization; untrusted deserialization
fixation: session fixation; session hijacking
timing: timing attack; side channel; timing oracle
enumeration: user enumeration; account enumeration
clickjacking: ui redressing
2fa: two factor; second factor; multi factor; mfa; totp
auth-bypass: authentication bypass; authorization bypass; access control; permission bypass`

// concepts maps the stems of a phrase to a concept's name.
var concepts = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(fieldNames, "\n") {
		name, phrases, _ := strings.Cut(line, ":")
		for _, phrase := range append(strings.Split(phrases, ";"), name) {
			var stems []string
			for _, w := range strings.Fields(phrase) {
				if !stop[w] {
					stems = append(stems, stem(w))
				}
			}
			if len(stems) > 0 && len(stems) <= 3 {
				m[strings.Join(stems, " ")] = name
			}
		}
	}
	return m
})

// stem takes the endings off an English word that change its form and not its
// matter. It is lighter than Porter's: two words that differ are rather kept
// apart. Words that are not plain ASCII letters stay as they are.
func stem(w string) string {
	if len(w) < 4 || !plainASCII(w) {
		return w
	}
	w = singular(w)
	for _, e := range []struct{ end, by string }{
		{"ization", "iz"}, {"isation", "iz"}, {"ising", "iz"}, {"ised", "iz"}, {"iser", "iz"}, {"ise", "iz"}, {"izer", "iz"}, {"izing", "iz"}, {"ized", "iz"}, {"ize", "iz"},
		{"ability", "abl"}, {"ibility", "ibl"}, {"fulness", "ful"}, {"ously", "ous"},
	} {
		if rest, ok := strings.CutSuffix(w, e.end); ok && len(rest) >= 3 {
			return rest + e.by
		}
	}
	cut := false
	for _, end := range []string{"ingly", "edly", "ing", "ed"} {
		if rest, ok := strings.CutSuffix(w, end); ok && len(rest) >= 3 && strings.ContainsAny(rest, "aeiouy") {
			w, cut = undouble(rest), true
			break
		}
	}
	if !cut {
		for _, end := range []string{"ly", "ment", "ness"} {
			if rest, ok := strings.CutSuffix(w, end); ok && len(rest) >= 4 {
				w = rest
				break
			}
		}
	}
	if rest, ok := strings.CutSuffix(w, "ion"); ok && len(rest) >= 3 && (strings.HasSuffix(rest, "t") || strings.HasSuffix(rest, "s")) {
		w = rest
	}
	w = strings.TrimSuffix(w, "e")
	if rest, ok := strings.CutSuffix(w, "at"); ok && len(rest) >= 5 {
		w = rest
	}
	if rest, ok := strings.CutSuffix(w, "y"); ok && len(rest) >= 3 {
		w = rest + "i"
	}
	return w
}

func plainASCII(w string) bool {
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return false
		}
	}
	return true
}

func singular(w string) string {
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "xes"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"):
		return w[:len(w)-2]
	case strings.HasSuffix(w, "ss"), strings.HasSuffix(w, "us"), strings.HasSuffix(w, "is"):
		return w
	}
	return strings.TrimSuffix(w, "s")
}

func undouble(w string) string {
	n := len(w)
	if n > 3 && w[n-1] == w[n-2] && !strings.ContainsRune("lsz", rune(w[n-1])) {
		return w[:n-1]
	}
	return w
}
