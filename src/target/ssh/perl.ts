/**
 * The program for hosts that have Perl: it takes the same lines and answers in the same frames as the one for a shell, and
 * starts no process but the command that was asked for. It loads no module: many hosts have nothing but the interpreter.
 * It stands in single quotes of a shell, and so has none.
 */

// words: those of the next whole line. obey: what that line asks for. run: starts a command. hear: what it said.
// z: the end of the input stops what was asked, and waits two seconds for it.
// A question has a process group of its own; where there is a terminal, as sudo may give one, a session, so that nothing
// can ask on it. Its end is taken note of only when its streams have ended: until then nobody else gets its number.
export const PERL = String.raw`
my ($nonce, $life, $setsid, $boot) = @ARGV;
my $self = $$;
open my $in, "<&", \*STDIN;
open STDIN, "<", "/dev/null";
my $apart = open(my $terminal, "<", "/dev/tty") && $setsid;
my (%pid, %open, %stream);
my ($heard, $dots) = ("", "");
my $said = "\n$nonce ready 1 b64 " . ($setsid || "nosetsid") . " $> $boot\n";
pipe my $woken, my $wake;
$SIG{CHLD} = sub { syswrite $wake, "." };
$SIG{$_} = \&z for qw(ALRM HUP INT PIPE TERM);
alarm $life;

while (1) {
  for my $id (grep !$open{$_}, keys %pid) {
    next if waitpid($pid{$id}, 1) < 1;
    $said .= "$id X " . ($? & 127 ? 128 + ($? & 127) : $? >> 8) . "\n";
    delete $pid{$id};
    delete $open{$id};
  }
  while (length $said) {
    my $n = syswrite STDOUT, $said;
    if (defined $n) { substr($said, 0, $n, "") }
    elsif ($! == 11) { select undef, undef, undef, .01 }
    elsif ($! != 4) { z() }
  }
  my $ready = "";
  vec($ready, $_, 1) = 1 for fileno $in, fileno $woken, keys %stream;
  next if select($ready, undef, undef, undef) < 1;
  vec($ready, fileno $woken, 1) && sysread $woken, $dots, 4096;
  vec($ready, $_, 1) && hear($_) for keys %stream;
  next if !vec($ready, fileno $in, 1);
  sysread($in, $heard, 65536, length $heard) || z();
  while (my @line = words()) { obey(@line[1 .. $#line - 2]) }
}

sub words {
  my @words;
  pos($heard) = 0;
  while ($heard =~ /\G((?>\x27[^\x27]*\x27|\\\x27|[^\x27\\\s])+)([ \n])/g) {
    my ($word, $end, $length) = ($1, $2, pos $heard);
    $word =~ s/\x27([^\x27]*)\x27|\\(.)/$+/gs;
    push @words, $word;
    next if $end eq " ";
    substr($heard, 0, $length, "");
    return @words;
  }
  return;
}

sub obey {
  my ($do, $id, @words) = @_;
  if ($do eq "q") {
    my ($limit, undef, undef, @argv) = @words;
    pipe(my $out, my $to_out) && pipe(my $err, my $to_err) || z();
    run($id, $to_out, $to_err, $apart, @argv);
    $open{$id} = 2;
    $stream{fileno $out} = [$out, $id, "O", $limit];
    $stream{fileno $err} = [$err, $id, "E", $limit];
  } elsif ($do eq "a") {
    open my $null, ">", "/dev/null";
    run($id, $null, $null, $setsid, @words);
    $said .= "$id O .\n$id E .\n";
  } elsif ($do eq "n") {
    cut($_) for grep $stream{$_}[1] == $id, keys %stream;
    delete $open{$id};
  } elsif ($do eq "k") {
    kill("KILL", -$id) || kill("KILL", $id);
  } elsif ($do eq "u") {
    open STDIN, "<&", $in;
    system("sudo", "-n", "sh", "-c", q(printf "\n%s root\n" "$1"; exec sh), "sh", $nonce) || exit;
    open STDIN, "<", "/dev/null";
    $said .= "\n$nonce stays\n";
  } else {
    exit;
  }
}

sub run {
  my ($id, $out, $err, $setsid, @argv) = @_;
  defined(my $pid = fork) || z();
  if (!$pid) {
    $SIG{$_} = "DEFAULT" for qw(ALRM CHLD HUP INT PIPE TERM);
    setpgrp 0, 0 if !$setsid;
    open STDOUT, ">&", $out;
    open STDERR, ">&", $err;
    unshift @argv, $setsid if $setsid;
    exec { $argv[0] } @argv;
    my $code = $! == 2 ? 127 : 126;
    syswrite STDERR, "sh: exec: $argv[0]: $!\n";
    exit $code;
  }
  setpgrp $pid, $pid if !$setsid;
  $pid{$id} = $pid;
  $said .= "$id P $pid\n";
}

sub hear {
  my ($from, $id, $which, $left) = @{$stream{$_[0]}};
  my $n = sysread $from, my $data, $left < 65536 ? $left : 65536;
  for my $part (unpack "(a2250)*", $data) {
    my $base64 = join "", map substr($_, 1), split /\n/, pack "u63", $part;
    my $padding = -length($part) % 3;
    $base64 =~ tr|\x60!-_|A-Za-z0-9+/|;
    substr($base64, -$padding) = "=" x $padding if $padding;
    $said .= "$id $which $base64\n";
  }
  $stream{$_[0]}[3] -= $n;
  cut($_[0]) if !$n || $n == $left;
}

sub cut {
  my ($id, $which) = @{$stream{$_[0]}}[1, 2];
  $said .= "$id $which .\n";
  $open{$id}--;
  delete $stream{$_[0]};
}

sub z {
  exit if $$ != $self;
  $SIG{$_} = "IGNORE" for qw(ALRM HUP INT PIPE TERM);
  my @groups = map -$pid{$_}, keys %open;
  for my $signal (qw(TERM KILL)) {
    kill($signal, $_) || kill($signal, -$_) for @groups;
    for (1 .. 20) {
      1 while waitpid(-1, 1) > 0;
      @groups = grep kill(0, $_), @groups or exit;
      select undef, undef, undef, .05;
    }
  }
  exit;
}
`;
