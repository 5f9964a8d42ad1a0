"""`python -m pcm_leukemia`, for where the command is not on the path."""

from pcm_leukemia.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
