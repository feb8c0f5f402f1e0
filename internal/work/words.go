package work

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
)

// sealed is what protects what came without encryption of its sender's.
var sealed = disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}

// protection translates what our cryptography found into the domain's words.
func protection(j pgp.Judgment) disclosure.Protection {
	p := sealed
	switch j.Encryption {
	case pgp.EncryptedCurrent:
		p.Encryption = disclosure.ToCurrentKey
	case pgp.EncryptedRetired:
		p.Encryption = disclosure.ToRetiredKey
	case pgp.EncryptedPhrase:
		p.Encryption = disclosure.WithPassphrase
	}
	switch j.Signature {
	case pgp.SignatureValidKnown:
		p.Signature = disclosure.SignedKnown
	case pgp.SignatureValidUnknown:
		p.Signature = disclosure.SignedUnknown
	case pgp.SignatureInvalid:
		p.Signature = disclosure.SignedInvalid
	case pgp.SignatureUnverifiable:
		p.Signature = disclosure.SignedUnchecked
	}
	if p.Signature != disclosure.Unsigned {
		p.Signer, p.Problem = j.SignerFingerprint, string(j.Problem)
	}
	if j.Integrity == pgp.IntegrityPart {
		p.Integrity = disclosure.PartOnly
	}
	return p
}

// together is one protection for several parts: the first part's, which is the
// text's, for a part only where the others are not protected alike.
func together(found []disclosure.Protection) disclosure.Protection {
	if len(found) == 0 {
		return sealed
	}
	p := found[0]
	for _, other := range found[1:] {
		if other.Encryption != p.Encryption || other.Signature != p.Signature || other.Integrity == disclosure.PartOnly {
			p.Integrity = disclosure.PartOnly
		}
		if other.Encryption == disclosure.Unopened {
			p.Encryption, p.Problem = disclosure.Unopened, cmp.Or(p.Problem, other.Problem)
		}
	}
	return p
}

// pieceHead stands above a further text of a message and says what is
// different about it.
func pieceHead(main, piece *mail.Piece) string {
	switch {
	case piece.Enclosed && !main.Enclosed:
		return "[From an enclosed message.]\n\n"
	case piece.Protection.Encryption != main.Protection.Encryption || piece.Protection.Signature != main.Protection.Signature:
		return "[The following part is protected differently. " + protection(piece.Protection).Sentence() + "]\n\n"
	}
	return ""
}

const maxTitle = 120

// cleanTitle is one line of at most 120 characters without anything that
// could deceive its reader.
func cleanTitle(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), unicode.IsSpace), " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	runes := []rune(s)
	if len(runes) <= maxTitle {
		return s
	}
	short := string(runes[:maxTitle-1])
	if i := strings.LastIndexByte(short, ' '); i > maxTitle/2 {
		short = short[:i]
	}
	return strings.TrimRight(short, " ,.;:") + "…"
}

// firstLine is the first line that says something: no greeting, no quotation,
// no ruler.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ">") || greeting(line) {
			continue
		}
		title := cleanTitle(strings.Trim(line, "#*_=-~` \t"))
		if strings.ContainsFunc(title, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			return title
		}
	}
	return ""
}

// firstWords is the first line with letters, whatever it says.
func firstWords(text string) string {
	for line := range strings.Lines(text) {
		if title := cleanTitle(line); strings.ContainsFunc(title, unicode.IsLetter) {
			return title
		}
	}
	return ""
}

func greeting(line string) bool {
	if utf8.RuneCountInString(line) > 40 {
		return false
	}
	words := strings.Fields(strings.ToLower(strings.TrimRight(line, ",.!:;")))
	if len(words) == 0 || len(words) > 5 {
		return false
	}
	switch words[0] {
	case "hi", "hello", "hey", "dear", "greetings", "hallo", "bonjour", "hola":
		return true
	case "good":
		return len(words) > 1 && (words[1] == "morning" || words[1] == "afternoon" || words[1] == "evening" || words[1] == "day")
	}
	return false
}

// meaningfulSubject is a mail's subject as a title, without the marks of
// answering; empty where a mail program put something in its place.
func meaningfulSubject(subject string) string {
	s := cleanTitle(subject)
	for {
		prefix, rest, ok := strings.Cut(s, ":")
		switch strings.ToLower(strings.TrimSpace(prefix)) {
		case "re", "fwd", "fw", "aw", "wg", "tr", "sv":
			if ok {
				s = strings.TrimSpace(rest)
				continue
			}
		}
		break
	}
	switch strings.ToLower(s) {
	case "...", "[...]", "encrypted message", "(no subject)", "no subject":
		return ""
	}
	return s
}

// What a member reads of a private key that the gate refused.
const (
	secretTitle = "A private key was sent and refused"
	secretWords = "Somebody sent a private key. It was refused and is kept sealed; nobody needs to see it."
)

// isApplication reports whether a subject is the one that the policy asks
// applicants to write, however it was cased, encoded, answered or forwarded.
// Who asks may stand behind it, set off: "Security notification request:
// Harbor OS". Other words that begin so are a report's; between the two, what
// is no application can only be a report with its clock running.
func isApplication(subject, asked string) bool {
	words := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(meaningfulSubject(s)), " ")) }
	rest, ok := strings.CutPrefix(words(subject), words(asked))
	if !ok || asked == "" {
		return false
	}
	rest = strings.TrimSpace(rest)
	if strings.Trim(rest, ".!…") == "" {
		return true
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return strings.ContainsRune(":-–—,;([", r) || strings.HasPrefix(rest, "from ") || strings.HasPrefix(rest, "for ")
}

// askWords is an extra question as a heading.
func askWords(ask string) string {
	switch ask {
	case "versions":
		return "Affected versions"
	case "reproduce":
		return "How to reproduce"
	case "impact":
		return "Impact"
	case "threat-model":
		return "Threat model"
	case "ai-use":
		return "Use of AI"
	case "exploited":
		return "Known to be exploited"
	case "public":
		return "Already public"
	case "deadline":
		return "The reporter's own deadline"
	}
	return cleanTitle(ask)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// problemWords says what a person should know about a finding; empty where
// nobody has to look.
func problemWords(f mail.Finding) string {
	if f.Code == mail.ProblemNotOpened && f.Detail != "" {
		return f.Detail
	}
	return map[mail.Code]string{
		mail.ProblemTooLarge:      "It is larger than we read; the original is kept.",
		mail.ProblemHeaderLimit:   "Its header is longer than we read.",
		mail.ProblemParts:         "It has more parts than we read; the rest is in the original.",
		mail.ProblemDepth:         "It is nested deeper than we read; the inner part is kept as a file.",
		mail.ProblemOpens:         "There is more encrypted in it than we open.",
		mail.ProblemBudget:        "What was opened of it is as large as we allow; the rest is in the original.",
		mail.ProblemTime:          "Reading it took too long; the rest is in the original.",
		mail.ProblemNotOpened:     "It is encrypted and could not be opened.",
		mail.ProblemBroken:        "An OpenPGP message in it is cut off or damaged.",
		mail.ProblemPrivateKey:    "A private key came along. It is not shown; tell the sender that it has to be revoked.",
		mail.ProblemFromDiffers:   "It says it is from another address inside than outside; neither is proven.",
		mail.ProblemSMIME:         "It holds S/MIME, which we keep and cannot read.",
		mail.ProblemTNEF:          "It holds a winmail.dat, which we keep and cannot read.",
		mail.ProblemBoundary:      "Its parts could not be told apart; it is shown as it came.",
		mail.ProblemMalformed:     "It is not a well-formed mail; it is shown as it came.",
		mail.ProblemInternal:      "Reading it failed inside; look at the original.",
		mail.ProblemSignatureForm: "It is signed in a form we do not know.",
	}[f.Code]
}
