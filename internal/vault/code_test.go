package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sethvargo/go-diceware/diceware"
	"pgregory.net/rapid"

	"postern/internal/vault"
)

func seedOf(b byte) [32]byte { return [32]byte(bytes.Repeat([]byte{b}, 32)) }

func allWords(t testing.TB) []string {
	t.Helper()
	var words []string
	for roll := 11111; roll <= 66666; roll++ {
		if w := diceware.WordListEffLarge().WordAt(roll); w != "" {
			words = append(words, w)
		}
	}
	if len(words) != 7776 {
		t.Fatalf("the word list has %d words", len(words))
	}
	return words
}

func TestCodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		c := vault.CodeFrom(seed)
		if c != vault.CodeFrom(seed) {
			t.Fatal("CodeFrom is not the same twice")
		}
		words := c.Words()
		if len(words) != vault.CodeWords {
			t.Fatalf("Words gave %d words", len(words))
		}
		if got, err := vault.ParseCode(strings.Join(words, " ")); err != nil || got != c {
			t.Fatalf("ParseCode(Words) = another code, %v", err)
		}
	})
	if one, two := vault.NewCode(), vault.NewCode(); one == two {
		t.Error("NewCode gave the same code twice")
	}
}

func TestParseCodeIsForgiving(t *testing.T) {
	c := vault.CodeFrom(seedOf(1))
	w := c.Words()
	numbered := ""
	for i, word := range w {
		numbered += fmt.Sprintf("%d. %s\r\n", i+1, strings.ToUpper(word[:1])+word[1:])
	}
	for name, text := range map[string]string{
		"spaces":   "  " + strings.Join(w, "   ") + "\n",
		"hyphens":  strings.Join(w, "-"),
		"commas":   strings.Join(w, ", ") + ".",
		"lines":    strings.Join(w, "\r\n"),
		"shouted":  strings.ToUpper(strings.Join(w, " ")),
		"numbered": numbered,
		"dashes":   strings.Join(w, " \u2013 "),
		"nbsp":     strings.Join(w, "\u00a0"),
		"quoted":   "> " + strings.Join(w[:4], " ") + "\n> " + strings.Join(w[4:], " "),
	} {
		if got, err := vault.ParseCode(text); err != nil || got != c {
			t.Errorf("ParseCode of %s = another code, %v", name, err)
		}
	}
}

// The list has four words with a hyphen, one of which sounds like another.
func TestParseCodeWithHyphenatedWords(t *testing.T) {
	left := map[string]bool{"drop-down": true, "felt-tip": true, "t-shirt": true, "yo-yo": true, "yoyo": true}
	for i := 0; i < 1<<18 && len(left) > 0; i++ {
		c := vault.CodeFrom([32]byte(fmt.Appendf(make([]byte, 0, 32), "%032d", i)))
		words := c.Words()
		at := slices.IndexFunc(words, func(w string) bool { return left[w] })
		if at < 0 {
			continue
		}
		delete(left, words[at])
		text := strings.Join(words, " ")
		spellings := map[string]string{
			"as printed": text, "joined by hyphens": strings.Join(words, "-"),
			"without its hyphen": strings.ReplaceAll(text, "-", ""), "with a space": strings.ReplaceAll(text, "-", " "),
		}
		if words[at] == "yoyo" {
			spellings["as it sounds"] = strings.ReplaceAll(text, "yoyo", "yo-yo")
		}
		for name, spelling := range spellings {
			if got, err := vault.ParseCode(spelling); err != nil || got != c {
				t.Errorf("ParseCode(%q), %q %s = another code, %v", spelling, words[at], name, err)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("no code was found with %v", left)
	}
}

func TestParseCodeNamesTheFault(t *testing.T) {
	w := vault.CodeFrom(seedOf(2)).Words()
	join := func(words ...string) string { return strings.Join(words, " ") }
	swapped := slices.Clone(w)
	swapped[2], swapped[3] = swapped[3], swapped[2]
	misspelled := slices.Clone(w)
	misspelled[4] = w[4][:len(w[4])-1] + "q"
	for _, c := range []struct {
		name, text string
		problem    vault.CodeProblem
		position   int
		count      int
	}{
		{"empty", "", vault.CodeWordCount, 0, 0},
		{"only signs", " 1. 2. -- ", vault.CodeWordCount, 0, 0},
		{"seven", join(w[:7]...), vault.CodeWordCount, 0, 7},
		{"nine", join(append(slices.Clone(w), "zoom")...), vault.CodeWordCount, 0, 9},
		{"swapped", join(swapped...), vault.CodeChecksum, 0, 8},
		{"misspelled", join(misspelled...), vault.CodeUnknownWord, 5, 8},
		{"misspelled in seven", join(misspelled[:7]...), vault.CodeUnknownWord, 5, 7},
		{"not Latin", join(append(slices.Clone(w[:7]), "слово")...), vault.CodeUnknownWord, 8, 8},
		{"not UTF-8", join(append(slices.Clone(w[:7]), "\xff\xfe")...), vault.CodeWordCount, 0, 7},
		{"a novel", strings.Repeat("zoom ", 1000), vault.CodeTooLong, 0, 0},
	} {
		got, err := vault.ParseCode(c.text)
		var fault *vault.CodeError
		if !errors.As(err, &fault) || got != (vault.Code{}) {
			t.Errorf("ParseCode of %s = %v, want a CodeError", c.name, err)
			continue
		}
		if fault.Problem != c.problem || fault.Position != c.position || fault.Count != c.count {
			t.Errorf("ParseCode of %s = %q, word %d of %d; want %q, %d of %d", c.name,
				fault.Problem, fault.Position, fault.Count, c.problem, c.position, c.count)
		}
		for _, word := range slices.Concat(w, []string{fault.Word}) {
			if word != "" && slices.Contains(strings.Fields(err.Error()), word) {
				t.Errorf("ParseCode of %s: the error tells a word: %v", c.name, err)
			}
		}
	}
}

func TestNearestWords(t *testing.T) {
	for typed, want := range map[string]string{
		"abacuss": "abacus", "abcaus": "abacus", "zom": "zoom", "detonat": "detonate", "superbawl": "superbowl",
	} {
		_, err := vault.ParseCode(typed)
		var fault *vault.CodeError
		if !errors.As(err, &fault) || !slices.Contains(fault.Nearest, want) || len(fault.Nearest) > 3 || fault.Word != typed {
			t.Errorf("ParseCode(%q): nearest %v, want %q among them", typed, fault.Nearest, want)
		}
	}
	for _, typed := range []string{"qqqqqqqq", strings.Repeat("z", 500)} {
		_, err := vault.ParseCode(typed)
		var fault *vault.CodeError
		if !errors.As(err, &fault) || len(fault.Nearest) != 0 {
			t.Errorf("ParseCode(%.10q): nearest %v, want none", typed, fault.Nearest)
		}
	}
}

// A wrong word passes with a chance of 1 in 4,096, a little less where the
// number leaves the range: of the 62,200 slips of one code about 12 to 15. All
// slips of three fixed codes, so that the test is the same each time.
func TestOneWordSlipsAreFound(t *testing.T) {
	words := allWords(t)
	slips, passed := 0, 0
	for seed := range byte(3) {
		c := vault.CodeFrom(seedOf(10 + seed))
		right := c.Words()
		typed := slices.Clone(right)
		for at := range right {
			for _, w := range words {
				if w == right[at] {
					continue
				}
				typed[at] = w
				slips++
				if got, err := vault.ParseCode(strings.Join(typed, " ")); err == nil {
					passed++
					if got == c {
						t.Fatalf("a wrong word gave the right code")
					}
				}
			}
			typed[at] = right[at]
		}
	}
	// 186,600 / 4,096 is 45.6; more than five standard deviations above is 80.
	if slips != 3*8*7775 || passed > 80 || passed == 0 {
		t.Errorf("%d of %d one-word slips passed, want about %d", passed, slips, slips/4096)
	}
}

func TestSwappedWordsAreFound(t *testing.T) {
	swaps, passed := 0, 0
	for seed := range byte(200) {
		right := vault.CodeFrom(seedOf(seed)).Words()
		for i := range right {
			for j := range i {
				typed := slices.Clone(right)
				typed[i], typed[j] = typed[j], typed[i]
				swaps++
				if _, err := vault.ParseCode(strings.Join(typed, " ")); err == nil {
					passed++
				}
			}
		}
	}
	if passed > 8 { // 5,600 / 4,096 is 1.4
		t.Errorf("%d of %d swaps passed, want about %d", passed, swaps, swaps/4096)
	}
}

func TestMailbox(t *testing.T) {
	c := vault.CodeFrom(seedOf(3))
	box := c.Mailbox(instance)
	sealed, err := vault.SealToMailbox(box.Public(), "item 1", []byte("we are looking"))
	if err != nil {
		t.Fatal(err)
	}
	again := c.Mailbox(instance)
	if again.ID() != box.ID() || !bytes.Equal(again.Public(), box.Public()) || len(box.ID()) != 32 {
		t.Errorf("the mailbox of a code is not the same twice: %q, %q", box.ID(), again.ID())
	}
	if got, err := again.Open("item 1", sealed); err != nil || string(got) != "we are looking" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if _, err := again.Open("item 2", sealed); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("Open under another info = %v, want ErrOpen", err)
	}
	for name, other := range map[string]*vault.Mailbox{
		"another instance": c.Mailbox("6f6f"), "another code": vault.CodeFrom(seedOf(4)).Mailbox(instance),
	} {
		if _, err := other.Open("item 1", sealed); !errors.Is(err, vault.ErrOpen) || other.ID() == box.ID() {
			t.Errorf("Open in the mailbox of %s = %v, want ErrOpen and another id", name, err)
		}
	}
	longer, err := vault.SealToMailbox(box.Public(), "item 1", make([]byte, 900))
	if err != nil || len(longer) != len(sealed) {
		t.Errorf("items of 14 and 900 bytes are told apart: %d and %d (%v)", len(sealed), len(longer), err)
	}
	if _, err := vault.SealToMailbox([]byte("no key"), "item 1", nil); err == nil {
		t.Error("SealToMailbox took a key that is none")
	}
}

func TestFromIdempotencyKey(t *testing.T) {
	id, code := vault.FromIdempotencyKey("k", seedOf(1))
	if id2, code2 := vault.FromIdempotencyKey("k", seedOf(1)); id2 != id || code2 != code || len(id) != 32 {
		t.Errorf("the same key and bytes gave %q and %q", id, id2)
	}
	for name, other := range map[string]func() (string, vault.Code){
		"other bytes": func() (string, vault.Code) { return vault.FromIdempotencyKey("k", seedOf(2)) },
		"other key":   func() (string, vault.Code) { return vault.FromIdempotencyKey("K", seedOf(1)) },
	} {
		if id2, code2 := other(); id2 == id || code2 == code {
			t.Errorf("%s gave the same arrival or code", name)
		}
	}
}

func FuzzParseCode(f *testing.F) {
	good := vault.CodeFrom(seedOf(5)).Words()
	f.Add(strings.Join(good, " "))
	f.Add(strings.Join(good, "-"))
	f.Add("1. Yo-Yo, 2) t-shirt; drop down\u00a0felt tip yoyo yo yo yo zoom")
	f.Add(strings.Repeat("yo-yo ", 8))
	f.Add("\xff\xfe\u0130\u212a")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := vault.ParseCode(text)
		if err != nil {
			var fault *vault.CodeError
			if !errors.As(err, &fault) || c != (vault.Code{}) || len(fault.Nearest) > 3 || err.Error() == "" {
				t.Errorf("ParseCode(%q) = %#v", text, err)
			}
			return
		}
		if again, err := vault.ParseCode(strings.Join(c.Words(), " ")); err != nil || again != c {
			t.Errorf("ParseCode(%q) gave a code that does not read back: %v", text, err)
		}
	})
}

func BenchmarkMailbox(b *testing.B) {
	c := vault.NewCode()
	for b.Loop() {
		c.Mailbox(instance)
	}
}

func BenchmarkParseCodeUnknownWord(b *testing.B) {
	for b.Loop() {
		_, _ = vault.ParseCode("superbaql")
	}
}
