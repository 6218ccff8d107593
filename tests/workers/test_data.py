import numpy as np
import pytest

from autosched.errors import UsageError
from workers.data import BYTES, GPT2_VOCABULARY, TEXT_BYTES, digits, open_corpus, standard_library

LENGTH = 17


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_bytes(bytes(range(256)) * 8)
    return path


def bin_file(path, count, start=0):
    np.arange(start, start + count, dtype=np.uint16).tofile(path)
    return path


def test_the_standard_library_is_four_megabytes_of_bytes():
    corpus = open_corpus("stdlib", vocabulary=None, length=LENGTH)
    assert corpus.train.size + corpus.validation.size == len(standard_library()) == TEXT_BYTES
    assert corpus.validation.size == TEXT_BYTES // 10
    assert corpus.vocabulary == BYTES
    assert b"import " in standard_library()


def test_the_headers_are_four_megabytes_of_another_language():
    corpus = open_corpus("headers", vocabulary=None, length=LENGTH)
    assert corpus.train.size + corpus.validation.size == TEXT_BYTES
    assert b"#pragma once" in corpus.train.tobytes()
    assert corpus.fingerprint != open_corpus("stdlib", vocabulary=None, length=LENGTH).fingerprint


def test_the_last_tenth_of_a_text_file_is_for_validation(text_file):
    corpus = open_corpus(str(text_file), vocabulary=None, length=LENGTH)
    content = np.frombuffer(text_file.read_bytes(), dtype=np.uint8)
    np.testing.assert_array_equal(corpus.train, content[:-204])
    np.testing.assert_array_equal(corpus.validation, content[-204:])
    assert corpus.vocabulary == BYTES


def test_a_bin_file_holds_tokens_of_two_bytes(tmp_path):
    path = bin_file(tmp_path / "tokens.bin", 1000, start=700)
    corpus = open_corpus(str(path), vocabulary=None, length=LENGTH)
    np.testing.assert_array_equal(corpus.train, np.arange(700, 1600))
    np.testing.assert_array_equal(corpus.validation, np.arange(1600, 1700))
    assert corpus.vocabulary == GPT2_VOCABULARY


def test_a_folder_has_a_file_for_each_split(tmp_path):
    bin_file(tmp_path / "train.bin", 100)
    bin_file(tmp_path / "val.bin", 50, start=500)
    corpus = open_corpus(str(tmp_path), vocabulary=600, length=LENGTH)
    np.testing.assert_array_equal(corpus.train, np.arange(100))
    np.testing.assert_array_equal(corpus.validation, np.arange(500, 550))
    assert corpus.vocabulary == 600


def test_batches_are_a_function_of_seed_and_step(text_file):
    def windows(seed, step):
        corpus = open_corpus(str(text_file), vocabulary=None, length=LENGTH)
        return corpus.training_windows(seed=seed, step=step, batch=4, length=LENGTH)

    np.testing.assert_array_equal(windows(3, 7), windows(3, 7))
    assert windows(3, 7).shape == (4, LENGTH)
    assert not np.array_equal(windows(3, 7), windows(3, 8))
    assert not np.array_equal(windows(3, 7), windows(4, 7))


def test_windows_are_consecutive_tokens_of_the_training_split(tmp_path):
    path = bin_file(tmp_path / "tokens.bin", 1000)
    corpus = open_corpus(str(path), vocabulary=None, length=LENGTH)
    windows = np.concatenate(
        [corpus.training_windows(seed=0, step=step, batch=64, length=LENGTH) for step in range(200)]
    )
    assert np.all(np.diff(windows, axis=1) == 1)
    assert (windows.min(), windows.max()) == (0, 899)  # every token is used, and none of the validation split


def test_validation_windows_are_spread_over_the_whole_split(tmp_path):
    path = bin_file(tmp_path / "tokens.bin", 2000)
    corpus = open_corpus(str(path), vocabulary=None, length=LENGTH)
    windows = corpus.validation_windows(count=5, length=LENGTH)
    assert np.all(np.diff(windows, axis=1) == 1)
    assert (windows[0, 0], windows[-1, -1]) == (1800, 1999)
    np.testing.assert_array_equal(windows, corpus.validation_windows(count=5, length=LENGTH))


def test_a_split_of_exactly_one_window_will_do(tmp_path):
    path = bin_file(tmp_path / "tokens.bin", LENGTH * 10)
    corpus = open_corpus(str(path), vocabulary=None, length=LENGTH)
    assert corpus.validation_windows(count=3, length=LENGTH).shape == (3, LENGTH)


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path, text_file):
    copy, changed = tmp_path / "copy", tmp_path / "changed"
    content = bytearray(text_file.read_bytes())
    copy.write_bytes(content)
    content[-1] ^= 1
    changed.write_bytes(content)
    prints = [open_corpus(str(path), vocabulary=None, length=LENGTH).fingerprint for path in (text_file, copy, changed)]
    assert prints[0] == prints[1] != prints[2]


def test_the_same_bytes_as_text_and_as_tokens_are_different_data(tmp_path, text_file):
    tokens = tmp_path / "tokens.bin"
    tokens.write_bytes(text_file.read_bytes())
    prints = [open_corpus(str(path), vocabulary=None, length=LENGTH).fingerprint for path in (text_file, tokens)]
    assert prints[0] != prints[1]


def test_a_token_above_the_vocabulary_is_named(tmp_path):
    path = bin_file(tmp_path / "tokens.bin", 1000)
    corpus = open_corpus(str(path), vocabulary=950, length=LENGTH)
    corpus.training_windows(seed=0, step=0, batch=4, length=LENGTH)
    with pytest.raises(UsageError, match=r"tokens\.bin: every token must be below the vocabulary of 950.*one is 999"):
        corpus.validation_windows(count=2, length=LENGTH)


def test_too_few_tokens_are_refused_with_the_split_and_the_number(tmp_path):
    path = tmp_path / "short.txt"
    path.write_bytes(b"x" * 100)
    with pytest.raises(
        UsageError, match=r"short\.txt: needs at least 17 validation tokens \(context \+ 1\), but has 10"
    ):
        open_corpus(str(path), vocabulary=None, length=LENGTH)
    with pytest.raises(UsageError, match=r"needs at least 91 training tokens"):
        open_corpus(str(path), vocabulary=None, length=91)


def test_data_that_is_not_there_is_refused_with_what_is_allowed(tmp_path):
    allowed = r'data must be "stdlib", "headers", a text file.*nowhere cannot be read: No such file'
    with pytest.raises(UsageError, match=allowed):
        open_corpus(str(tmp_path / "nowhere"), vocabulary=None, length=LENGTH)


def test_a_folder_without_splits_is_refused_with_the_missing_file(tmp_path):
    bin_file(tmp_path / "train.bin", 100)
    with pytest.raises(UsageError, match=r"val\.bin cannot be read: No such file"):
        open_corpus(str(tmp_path), vocabulary=None, length=LENGTH)


@pytest.mark.parametrize(("name", "content"), [("odd.bin", b"x" * 101), ("empty.bin", b""), ("empty.txt", b"")])
def test_a_file_of_no_whole_tokens_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(
        UsageError, match=rf"{name} must be a file of uint(8|16) tokens, but it has {len(content)} bytes"
    ):
        open_corpus(str(path), vocabulary=None, length=LENGTH)


def test_every_fifth_digit_is_held_out_and_all_kinds_are_in_both_splits():
    data = digits()
    assert (data.images.shape, data.validation_images.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    assert (data.labels.size, data.validation_labels.size) == (1437, 360)
    assert set(data.labels.tolist()) == set(data.validation_labels.tolist()) == set(range(10))
    assert (data.images.min(), data.images.max()) == (-1.0, 1.0)


def test_no_digit_is_in_both_splits():
    data = digits()
    seen = {image.tobytes() for image in data.images}
    assert not any(image.tobytes() in seen for image in data.validation_images)


def test_examples_are_a_function_of_seed_and_step():
    data = digits()
    first = data.training_examples(seed=0, step=5, batch=8)
    np.testing.assert_array_equal(first, data.training_examples(seed=0, step=5, batch=8))
    assert not np.array_equal(first, data.training_examples(seed=0, step=6, batch=8))
    assert not np.array_equal(first, data.training_examples(seed=1, step=5, batch=8))
