package scrub

// words are what messages of targets are made of, of eight letters and more. A
// piece of a secret that lies within one tells nothing, and cutting it out
// would leave no message readable once a user picks "Password-2026".
const words = " password passwords passwort kennwort username accounts administrator temporary temporarily directory operation " +
	"constraint violation attribute character characters complexity permission permitted required requirements " +
	"authentication credential credentials connection unavailable exception certificate organization organisation " +
	"resource invalidcredentials insufficient disabled suspended rejected accepted expected received "

// ordinaries are the pieces of words.
var ordinaries = piecesOf(words)

func piecesOf(text string) map[[window]byte]struct{} {
	out := map[[window]byte]struct{}{}
	for i := range len(text) - window + 1 {
		out[[window]byte([]byte(text[i:i+window]))] = struct{}{}
	}
	return out
}

// ordinary reports whether a piece lies within a word.
func ordinary(units [window]rune) bool {
	var text [window]byte
	for i, letter := range units {
		if letter < 'a' || letter > 'z' {
			return false
		}
		text[i] = byte(letter)
	}
	_, ok := ordinaries[text]
	return ok
}
